import Model
import Redis

/// One queue's other part in a look-ahead sample: the messages of tasks that workers have taken before a sample saw
/// them pending. Once such a task is done, Asynq deletes it, and only then comes its span.
///
///     round trip 1   LRANGE active 0 <count>-1       the newest ones
///     round trip 2   HSTRLEN t:<id> msg              those whose message has not been read
///     round trip 3   HMGET t:<id> msg                those of them that fit
struct ActiveSampler {
    typealias LengthAsk = (id: [UInt8], length: Ask<Int64>)
    typealias MessageAsk = (id: [UInt8], message: Ask<[UInt8]?>)

    let name: QueueName
    /// The tasks that the last sample saw.
    private var known: Set<[UInt8]> = []
    /// The tasks whose messages the sample under way has still to ask for.
    private var unread: [[UInt8]] = []
    /// The lengths of these, as far as they are known.
    private var lengths: [(id: [UInt8], bytes: Int64)] = []
    /// The time at which the list was read.
    private var readAt = WallTime(nanoseconds: 0)

    /// True if no task ran in the last sample.
    var isIdle: Bool { known.isEmpty }

    init(_ name: QueueName) {
        self.name = name
    }

    /// Records that the list was empty, as another command tells.
    mutating func recordEmpty() { (unread, lengths) = ([], []) }

    func addList(_ count: Int, to pipeline: inout RedisPipeline) -> Ask<[[UInt8]]> {
        pipeline.lrange(AsynqKeys.queue(name, "active"), from: 0, to: count - 1)
    }

    mutating func readList(_ list: Ask<[[UInt8]]>, replies: [RedisReply], at time: WallTime, noting tasks: SeenTasks) {
        (unread, lengths) = ([], [])
        let active: [[UInt8]]
        do throws(RedisError) {
            guard let ids = try replies[list] else { return }
            active = ids
        } catch {
            // LLEN fails as well, and the scrape reports it.
            return
        }
        let now = Set(active)
        // A later task under the same id may be another one.
        tasks.recordLeft(queue: name, known.subtracting(now))
        tasks.recordStarted(queue: name, now.subtracting(known), by: time)
        known = now
        readAt = time
        unread = tasks.unread(queue: name, active)
    }

    /// Asks for the lengths of at most `limit` messages, and lowers it. The others are read by a later sample, if their
    /// tasks still run.
    func addLengths(_ limit: inout Int, to pipeline: inout RedisPipeline) -> [LengthAsk] {
        let asks = unread.prefix(max(0, limit)).map { ($0, pipeline.messageLength(name, id: $0)) }
        limit -= asks.count
        return asks
    }

    /// Returns the errors of what can't be read; it is not asked for again.
    mutating func readLengths(
        _ asks: [LengthAsk], _ replies: [RedisReply], noting tasks: SeenTasks
    ) -> [RedisError] {
        var problems: [RedisError] = []
        for (id, ask) in asks {
            do throws(RedisError) {
                guard let length = try replies[ask] else { continue }
                if let refusal = MessageLimit.refusal(length, queue: name, id: id) { throw refusal }
                lengths.append((id, length))
            } catch {
                // What Redis refuses for one it refuses for all of them.
                if error.reason == .limit || problems.isEmpty { problems.append(error.about(name)) }
                tasks.recordUnreadable(queue: name, id: id)
            }
        }
        return problems
    }

    /// Asks for the messages that fit.
    func addMessages(_ left: inout SampleBudget, to pipeline: inout RedisPipeline) -> [MessageAsk] {
        var asks: [MessageAsk] = []
        for (id, bytes) in lengths where left.tasks > 0 && left.messages.take(bytes) {
            asks.append((id, pipeline.taskMessage(name, id: id)))
            left.tasks -= 1
        }
        return asks
    }

    /// Reads the messages. Returns the first error; what can't be read is not asked for again.
    func readMessages(_ asks: [MessageAsk], _ replies: [RedisReply], noting tasks: SeenTasks) -> RedisError? {
        var problem: RedisError?
        for (id, ask) in asks {
            do throws(RedisError) {
                guard let message = try replies[ask] else { continue }
                if let message {
                    let task = try StoredTask(message: message, names: tasks.names)
                    tasks.recordRunning(queue: name, id: id, task: task, by: readAt)
                    continue
                }
            } catch {
                problem = problem ?? error.about(name)
            }
            tasks.recordUnreadable(queue: name, id: id)
        }
        return problem
    }
}
