import Model
import ProtobufWire
import Redis

/// One queue's other part in a look ahead: what the tasks carry that workers have taken before a look saw them pending.
/// Once such a task is done, Asynq deletes it, and only then comes its span.
///
///     round trip 1   LRANGE active 0 <count>-1       the newest ones
///     round trip 2   HMGET t:<id> msg                of those whose message has not been read
struct ActiveLook {
    let name: QueueName
    /// Active at the last look.
    private var known: Set<[UInt8]> = []

    // Of the look under way.
    private var ids: [[UInt8]] = []
    private var first = 0
    private var second = 0

    init(_ name: QueueName) {
        self.name = name
    }

    mutating func addList(_ count: Int, to pipeline: inout RedisPipeline) {
        first = pipeline.add("LRANGE", AsynqKeys.queue(name, "active"), Array("0".utf8), Array(String(count - 1).utf8))
    }

    /// An error here is one of LLEN, which the scrape reports.
    mutating func readList(_ replies: [RedisReply], _ tasks: SeenTasks) {
        guard let elements = replies[first].elements else {
            ids = []
            return
        }
        let active = elements.compactMap(\.bytes)
        let now = Set(active)
        // One that comes again under the same id may be another task.
        tasks.noteLeft(queue: name, known.subtracting(now))
        known = now
        ids = tasks.unread(queue: name, active)
    }

    /// Takes what room is left; those without are read by a later look, if they still run.
    mutating func addMessages(_ room: inout Int, to pipeline: inout RedisPipeline) {
        second = pipeline.count
        ids = Array(ids.prefix(max(0, room)))
        room -= ids.count
        for id in ids { pipeline.add("HMGET", AsynqKeys.task(name, id: id), Array("msg".utf8)) }
    }

    /// Returns the first error. What can't be read is not asked for again.
    func readMessages(
        _ replies: [RedisReply], noting tasks: SeenTasks, _ budget: inout MessageBudget
    ) -> RedisError? {
        var problem: RedisError?
        for (offset, id) in ids.enumerated() {
            let reply = replies[second + offset]
            if reply == .unanswered { continue }
            budget.note(reply.elements?.first?.bytes?.count ?? 0)
            do throws(RedisError) {
                if let task = try StoredTask(reply: reply, queue: name, names: tasks.names) {
                    tasks.note(queue: name, id: id, ready: nil, task: task)
                    continue
                }
            } catch {
                problem = problem ?? error
            }
            tasks.noteUnreadable(queue: name, id: id)
        }
        return problem
    }
}

extension StoredTask {
    /// The reply to `HMGET t:<id> msg`; nil where there is no such task any more.
    init?(reply: RedisReply, queue: QueueName, names: CarriedNames) throws(RedisError) {
        if let text = reply.errorText { throw RedisError(reply: text, queue: queue) }
        guard let message = reply.elements?.first?.bytes else { return nil }
        do throws(WireError) {
            try self.init(taskMessage: message, names: names)
        } catch {
            throw RedisError(.malformed, "queue \(queue.text): a TaskMessage: \(error.reason.rawValue)")
        }
    }
}
