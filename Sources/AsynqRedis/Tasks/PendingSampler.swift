import Model
import Redis

/// The part of a look-ahead sample's budget that is left, over all queues.
struct SampleBudget {
    var tasks: Int
    var messages: MessageLimit.Portion
}

/// One queue's part in a look-ahead sample: since when each of its next tasks is pending, and which of them have gone
/// since the sample before.
///
///     round trip 1   LRANGE pending -<count> -1
///     round trip 2   for each task that is new there: HSTRLEN t:<id> msg
///     round trip 3   for each of them: HMGET t:<id> pending_since msg (without msg beyond the budget of bytes); for those that
///                    have gone: HMGET t:<id> state pending_since, and one ZMSCORE of their leases
struct PendingSampler {
    /// The time for which a worker's lease on a task lasts when it takes the task.
    private static let leaseSeconds: Int64 = 30
    private typealias Moment = (at: WallTime, monotonic: MonotonicTime)

    private struct Tracked {
        /// The ready time; nil for a task without `pending_since` (put back by a worker that stopped).
        var ready: WallTime?
        /// True if the message was read, or must not be.
        var isMessageRead = false
        /// True if the message is too large. Its worker's heartbeat, which holds the payload as well, is not read
        /// either.
        var isTooLarge = false
    }

    let name: QueueName
    private var tracked: [[UInt8]: Tracked] = [:]
    /// The lengths of messages that are still to be read.
    private var lengths: [[UInt8]: Int64] = [:]
    /// The time at which the list was read last.
    private var lastRead: Moment?
    private var readBefore: Moment?
    private(set) var lost: [LostTaskReason: UInt64] = [:]
    private(set) var error: RedisError?
    /// The errors of messages that the sample under way has found too large.
    private(set) var refusals: [RedisError] = []

    // These are the findings of the sample under way.
    private var fresh: [[UInt8]] = []
    private var gone: [[UInt8]] = []
    /// The tasks that are gone as well, but are not asked for. SeenTasks is told of them when this sample completes, or
    /// by the next one if this one fails.
    private var unasked: [(id: [UInt8], ready: WallTime, from: WallTime)] = []
    private var window: LookWindow?

    init(_ name: QueueName) {
        self.name = name
    }

    /// Records that the sample under way has failed.
    mutating func sampleFailed() {
        // What has gone is asked for again, and may have gone since then.
        lastRead = readBefore
    }

    // MARK: Round trip 1

    mutating func addList(_ count: Int, to pipeline: inout RedisPipeline) -> Ask<[[UInt8]]> {
        lost = [:]
        (error, refusals) = (nil, [])
        readBefore = lastRead
        return pipeline.lrange(AsynqKeys.queue(name, "pending"), from: -count, to: -1)
    }

    /// - Parameters:
    ///   - start: The time just before the lists were asked for.
    ///   - maxGap: The longest time between two samples after which it is certain enough when a task has gone.
    mutating func readList(
        _ list: Ask<[[UInt8]]>, _ replies: [RedisReply], start: (at: WallTime, monotonic: MonotonicTime),
        maxGap: Duration
    ) {
        fresh = []
        gone = []
        // A node that did not answer is reported by the client.
        guard let ids = read(list, replies) else { return }
        // The next task to be dequeued is the last of the list: it counts most where not all can be read.
        fresh = ids.reversed().filter { tracked[$0]?.isMessageRead != true }
        if !tracked.isEmpty {
            let present = Set(ids)
            gone = tracked.keys.filter { !present.contains($0) }
        }
        window = nil
        if let lastRead, start.monotonic.duration(since: lastRead.monotonic) <= maxGap {
            window = LookWindow(from: lastRead.at, to: lastRead.at)
        } else {
            lose(gone.count, .gap)
            for id in gone { dropUnasked(id, from: lastRead?.at) }
            gone = []
        }
        lastRead = start
    }

    /// Records that the task has gone, and is not asked for. `from` is the time when it was seen last; nil for some
    /// time since it was ready.
    private mutating func dropUnasked(_ id: [UInt8], from: WallTime?) {
        if let ready = tracked.removeValue(forKey: id)?.ready { unasked.append((id, ready, from ?? ready)) }
    }

    /// Records that the queue is gone, with the tasks that were pending in it.
    func end(at now: WallTime, noting tasks: SeenTasks) {
        guard let from = lastRead?.at else { return }
        for (id, task) in tracked {
            if let ready = task.ready {
                tasks.recordGone(queue: name, id: id, ready: ready, LookWindow(from: from, to: now))
            }
        }
    }

    /// True if no task of the queue is followed.
    var isIdle: Bool { tracked.isEmpty && unasked.isEmpty }

    /// Records that the list was empty, as another command tells.
    mutating func recordEmpty(start: (at: WallTime, monotonic: MonotonicTime)) {
        lost = [:]
        (error, refusals) = (nil, [])
        (fresh, gone, window) = ([], [], nil)
        readBefore = lastRead
        lastRead = start
    }

    private mutating func lose(_ count: Int, _ reason: LostTaskReason) {
        if count > 0 { lost[reason, default: 0] += UInt64(count) }
    }

    // MARK: Round trip 2

    /// Asks for the lengths of at most `limit` messages, and lowers it.
    mutating func addLengths(
        _ limit: inout Int, to pipeline: inout RedisPipeline
    ) -> [(id: [UInt8], length: Ask<Int64>)] {
        if !lengths.isEmpty {
            let fresh = Set(fresh)
            lengths = lengths.filter { fresh.contains($0.key) }
        }
        let asks = fresh.filter { lengths[$0] == nil }.prefix(max(0, limit))
            .map { ($0, pipeline.messageLength(name, id: $0)) }
        limit -= asks.count
        return asks
    }

    mutating func readLengths(_ asks: [(id: [UInt8], length: Ask<Int64>)], _ replies: [RedisReply]) {
        for (id, ask) in asks {
            guard let length = read(ask, replies) else { continue }
            lengths[id] = length
            if let refusal = MessageLimit.refusal(length, queue: name, id: id) { refusals.append(refusal) }
        }
    }

    private func isTooLarge(_ id: [UInt8]) -> Bool { lengths[id].map { $0 > MessageLimit.bytes } ?? false }

    // MARK: Round trip 3

    /// The questions of round trip 3.
    struct Details {
        let fresh: [(id: [UInt8], hasMessage: Bool, task: Ask<PendingTask>)]
        let gone: [(id: [UInt8], place: Ask<TaskPlace>)]
        /// The leases of those that have gone, in their order.
        let leases: Ask<[Int64?]>?
    }

    /// Asks for its share of the budget. Messages that do not fit are read by a later sample, if their tasks are
    /// pending still.
    mutating func addDetails(_ left: inout SampleBudget, to pipeline: inout RedisPipeline) -> Details {
        var withMessage: Set<[UInt8]> = []
        for id in fresh {
            guard let length = lengths[id], !isTooLarge(id), left.messages.take(length) else { continue }
            withMessage.insert(id)
        }
        fresh = fresh.filter { withMessage.contains($0) || tracked[$0] == nil }
        // Tasks that have gone can't be asked for later.
        let refused = max(0, gone.count - max(0, left.tasks))
        for id in gone.suffix(refused) {
            if let window { dropUnasked(id, from: window.from) }
        }
        gone.removeLast(refused)
        left.tasks -= gone.count
        let late = max(0, fresh.count - max(0, left.tasks))
        fresh.removeLast(late)
        left.tasks -= fresh.count
        lose(refused + late, .limit)
        return Details(
            fresh: fresh.map { id in
                let hasMessage = withMessage.contains(id)
                return (id, hasMessage, pipeline.pendingTask(name, id: id, withMessage: hasMessage))
            },
            gone: gone.map { ($0, pipeline.taskPlace(name, id: $0)) },
            leases: gone.isEmpty ? nil : pipeline.zmscore(AsynqKeys.queue(name, "lease"), gone))
    }

    /// Records what is pending, and returns what has been started since the sample before. `now` is the time when all
    /// was read.
    mutating func readDetails(
        _ details: Details, _ replies: [RedisReply], at now: WallTime, noting tasks: SeenTasks
    ) -> [StartedTask] {
        for (id, hasMessage, task) in details.fresh {
            readFresh(id, ask: task, replies: replies, hasMessage: hasMessage, noting: tasks)
        }
        for task in unasked {
            let window = LookWindow(from: task.from, to: max(now, task.from))
            tasks.recordGone(queue: name, id: task.id, ready: task.ready, window)
        }
        unasked = []
        window = window.map { LookWindow(from: $0.from, to: max(now, $0.from)) }
        let leases = details.leases.flatMap { read($0, replies) }
        var started: [StartedTask] = []
        for (position, (id, ask)) in details.gone.enumerated() {
            let place = read(ask, replies)
            if let task = readGone(id, place: place, lease: leases?[position], noting: tasks) { started.append(task) }
            // ActiveSampler sees one that runs; one that is done may be another task when its id is reused.
            if place?.isActive != true { tasks.recordLeft(queue: name, CollectionOfOne(id)) }
        }
        return started
    }

    private mutating func readFresh(
        _ id: [UInt8], ask: Ask<PendingTask>, replies: [RedisReply], hasMessage: Bool, noting tasks: SeenTasks
    ) {
        let found: PendingTask
        do throws(RedisError) {
            // A node that did not answer is asked again.
            guard let answer = try replies[ask] else { return }
            found = answer
        } catch {
            // A key of the wrong type is not asked again.
            tracked[id] = Tracked(ready: nil, isMessageRead: true)
            return recordError(error)
        }
        let ready = found.pendingSince.flatMap { WallTime(pendingSince: $0) }
        let isTooLarge = isTooLarge(id)
        tracked[id] = Tracked(ready: ready, isMessageRead: hasMessage || isTooLarge, isTooLarge: isTooLarge)
        var task: StoredTask?
        if let message = found.message {
            do throws(RedisError) {
                task = try StoredTask(message: message, names: tasks.names)
            } catch {
                // The task has its ready time all the same.
                recordError(error)
            }
        }
        if ready != nil || task != nil { tasks.record(queue: name, id: id, ready: ready, task: task) }
    }

    /// Reads a task that left the list. Dequeueing removes `pending_since` from the hash, and a task that is done and
    /// not retained has none. One that was moved by hand (archived) keeps it. A task that is still pending was only
    /// pushed out of sight by tasks that were put back in front of it. It is asked for until it has gone.
    private mutating func readGone(
        _ id: [UInt8], place: TaskPlace?, lease: Int64?, noting tasks: SeenTasks
    ) -> StartedTask? {
        guard let task = tracked.removeValue(forKey: id), let ready = task.ready, let window else { return nil }
        guard let place else {
            lose(1, .gap)
            tasks.recordGone(queue: name, id: id, ready: ready, window)
            return nil
        }
        let since = place.pendingSince.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
            .map { WallTime(nanoseconds: $0) }
        if since == ready && place.isPending {
            tracked[id] = task
            return nil
        }
        tasks.recordGone(queue: name, id: id, ready: ready, window, wasStarted: since != ready)
        if since == ready { return nil }
        let start = lease.map { window.middle(inSecond: $0 - Self.leaseSeconds) } ?? window.middle
        return StartedTask(
            queue: name, id: id, ready: ready, window: window, start: start,
            isRunning: lease != nil && place.isActive && !task.isTooLarge)
    }

    // MARK: Replies

    /// Returns the reply; nil where the command failed, or was not answered.
    private mutating func read<Value>(_ ask: Ask<Value>, _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            recordError(error)
            return nil
        }
    }

    /// Records the first error of a sample.
    private mutating func recordError(_ error: RedisError) {
        self.error = self.error ?? error.about(name)
    }
}
