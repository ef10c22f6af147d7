import Model
import Redis

/// Asks in round trip 1 whether queues that rest still do, ten of them with one command, where Redis allows it:
///
///     EXISTS      of the keys that did not exist                       0: none of them does
///     MGET        processed, failed                                    the same as before
///     ZCARD       archived, completed of queues where they exist       the same as before
///     ZRANGE…     newest of archived, where it exists                  all of them were counted before: one that was deleted by
///                                                                      hand hides none that came
///
/// A queue rests when no number of it can change by itself: no task is pending, active, scheduled, to be retried or
/// aggregating, it is not paused, and nothing was processed between the two last scrapes. It has the numbers that it
/// had. If one of its ten answers otherwise, all of them are read as a whole in round trip 2, which reports errors as
/// well.
struct RestProbe {
    /// The known numbers of a queue that rests.
    struct Queue {
        let snapshot: QueueSnapshot
        /// The total as it was read: that of the snapshot may stand still.
        let failed: Int64?
        let arrivals: ArchiveArrivals
    }

    /// The number of queues in one command. In a Cluster each queue has a slot of its own, and so its own commands.
    static let queuesAtOnce = 10

    private struct Part {
        let queues: [Queue]
        let existing: Ask<Int64>
        let counters: Ask<[[UInt8]?]>
        let sizes: [(expected: Int64, count: Ask<Int64>)]
        let archives: [(known: ArchiveArrivals, newest: Ask<[ScoredMember]>)]
    }

    private var parts: [Part] = []

    init(_ resting: [Queue], areJoined: Bool, in pipeline: inout RedisPipeline) {
        let count = areJoined ? Self.queuesAtOnce : 1
        for start in stride(from: 0, to: resting.count, by: count) {
            parts.append(Self.part(Array(resting[start..<min(start + count, resting.count)]), in: &pipeline))
        }
    }

    private static func part(_ queues: [Queue], in pipeline: inout RedisPipeline) -> Part {
        var absent: [[UInt8]] = []
        var sizes: [(expected: Int64, count: Ask<Int64>)] = []
        for queue in queues.map(\.snapshot) {
            for key in StateKey.all where queue.size[key.state] == 0 { absent.append(key.key(of: queue.name)) }
            absent += [AsynqKeys.queue(queue.name, "groups"), AsynqKeys.queue(queue.name, "paused")]
        }
        let existing = pipeline.exists(absent)
        let counters = pipeline.mget(
            queues.map(\.snapshot.name).flatMap { [AsynqKeys.queue($0, "processed"), AsynqKeys.queue($0, "failed")] })
        for queue in queues.map(\.snapshot) {
            for key in StateKey.all {
                if let size = queue.size[key.state], size > 0 {
                    sizes.append((size, key.addCount(queue.name, to: &pipeline)))
                }
            }
        }
        let archives = queues.filter { $0.snapshot.size[.archived] != 0 }.map { queue in
            (queue.arrivals, queue.arrivals.addNewest(of: queue.snapshot.name, to: &pipeline))
        }
        return Part(queues: queues, existing: existing, counters: counters, sizes: sizes, archives: archives)
    }

    /// Returns the queues that rest still.
    func read(_ replies: [RedisReply]) -> Set<QueueName> {
        var resting: Set<QueueName> = []
        for part in parts where Self.rests(part, replies) { resting.formUnion(part.queues.map(\.snapshot.name)) }
        return resting
    }

    private static func rests(_ part: Part, _ replies: [RedisReply]) -> Bool {
        guard value(part.existing, replies) == 0, let counters = value(part.counters, replies) else { return false }
        let expected = part.queues.flatMap { [$0.snapshot.processed, $0.failed] }
        let found = counters.map { text in text.map { Int64(String(decoding: $0, as: UTF8.self)) } ?? 0 }
        return found == expected && part.sizes.allSatisfy { value($0.count, replies) == $0.expected }
            && part.archives.allSatisfy { known, newest in
                value(newest, replies).map { !known.mayHaveArrivals(in: $0) } ?? false
            }
    }

    /// Returns the reply; nil where the command failed: the queue is read as a whole then, and the error is reported
    /// there.
    private static func value<Value>(_ ask: Ask<Value>, _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            return nil
        }
    }
}

extension QueueSnapshot {
    /// Returns true if no number of it can change by itself. `last` has the totals that the scrape before has read.
    func rests(after last: (processed: Int64?, failed: Int64?)) -> Bool {
        let volatile: [TaskState] = [.pending, .active, .scheduled, .retry, .aggregating]
        return processed != nil && failed != nil && (processed, failed) == last
            && volatile.allSatisfy { size[$0] == 0 } && size[.archived] != nil && size[.completed] != nil
            && groups == 0 && isPaused == false && deadLettered != nil && latencyNanoseconds == 0
            && orphaned == 0 && overdue == [.scheduled: 0, .retry: 0]
    }
}
