import Model
import Redis

/// One queue's other part in a look-ahead sample: what the tasks carry that workers have taken before a sample saw them
/// pending. Once such a task is done, Asynq deletes it, and only then comes its span.
///
///     round trip 1   LRANGE active 0 <count>-1       the newest ones
///     round trip 2   HMGET t:<id> msg                those whose message has not been read
struct ActiveSampler {
    typealias MessageAsk = (id: [UInt8], message: Ask<[UInt8]?>)

    let name: QueueName
    /// What the last sample saw.
    private var known: Set<[UInt8]> = []
    /// The tasks whose messages the sample under way has still to ask for.
    private var unread: [[UInt8]] = []
    /// When the list was read.
    private var readAt = WallTime(nanoseconds: 0)

    /// No task ran in the last sample.
    var isIdle: Bool { known.isEmpty }

    init(_ name: QueueName) {
        self.name = name
    }

    /// The list was empty, as another command tells.
    mutating func recordEmpty() { unread = [] }

    func addList(_ count: Int, to pipeline: inout RedisPipeline) -> Ask<[[UInt8]]> {
        pipeline.lrange(AsynqKeys.queue(name, "active"), 0, count - 1)
    }

    mutating func readList(_ list: Ask<[[UInt8]]>, _ replies: [RedisReply], at time: WallTime, _ tasks: SeenTasks) {
        unread = []
        let active: [[UInt8]]
        do throws(RedisError) {
            guard let ids = try replies[list] else { return }
            active = ids
        } catch {
            // LLEN fails as well, and the scrape reports it.
            return
        }
        let now = Set(active)
        // A later one under the same id may be another task.
        tasks.noteLeft(queue: name, known.subtracting(now))
        tasks.noteStarted(queue: name, now.subtracting(known), by: time)
        known = now
        readAt = time
        unread = tasks.unread(queue: name, active)
    }

    /// Asks for at most `limit` messages, and lowers it; the others are read by a later sample, if their tasks still run.
    func addMessages(_ limit: inout Int, to pipeline: inout RedisPipeline) -> [MessageAsk] {
        let asks = unread.prefix(max(0, limit)).map { ($0, pipeline.taskMessage(name, id: $0)) }
        limit -= asks.count
        return asks
    }

    /// Returns the first error. What can't be read is not asked for again.
    func readMessages(
        _ asks: [MessageAsk], _ replies: [RedisReply], noting tasks: SeenTasks, _ budget: inout MessageBudget
    ) -> RedisError? {
        var problem: RedisError?
        for (id, ask) in asks {
            do throws(RedisError) {
                guard let message = try replies[ask] else { continue }
                budget.note(message?.count ?? 0)
                if let message {
                    let task = try StoredTask(message: message, names: tasks.names)
                    tasks.noteRunning(queue: name, id: id, task: task, by: readAt)
                    continue
                }
            } catch {
                problem = problem ?? error.about(name)
            }
            tasks.noteUnreadable(queue: name, id: id)
        }
        return problem
    }
}
