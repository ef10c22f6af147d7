import Model
import Redis

/// The state of a task by the fields `state` and `pending_since` of its hash. Both are nil where the task exists no
/// more.
struct TaskPlace {
    let state: [UInt8]?
    let pendingSince: [UInt8]?

    var isPending: Bool { state == Array("pending".utf8) }
    var isActive: Bool { state == Array("active".utf8) }
}

extension WallTime {
    /// Reads the field `pending_since`, nanoseconds in digits; returns nil for anything else.
    init?(pendingSince text: [UInt8]) {
        guard let nanoseconds = Int64(String(decoding: text, as: UTF8.self)), nanoseconds > 0 else { return nil }
        self.init(nanoseconds: nanoseconds)
    }
}

/// A pending task: the time since which it is pending, and its message where that was asked for.
struct PendingTask {
    let pendingSince: [UInt8]?
    let message: [UInt8]?
}

/// The questions about a task's hash, `asynq:{<queue>}:t:<id>`.
extension RedisPipeline {
    mutating func taskPlace(_ queue: QueueName, id: [UInt8]) -> Ask<TaskPlace> {
        hmget(AsynqKeys.task(queue, id: id), "state", "pending_since").map {
            TaskPlace(state: $0[0], pendingSince: $0[1])
        }
    }

    mutating func pendingTask(_ queue: QueueName, id: [UInt8], withMessage: Bool) -> Ask<PendingTask> {
        let fields = withMessage ? ["pending_since", "msg"] : ["pending_since"]
        return hmget(AsynqKeys.task(queue, id: id), fields.map { Array($0.utf8) }).map {
            PendingTask(pendingSince: $0[0], message: withMessage ? $0[1] : nil)
        }
    }

    /// Asks for the length of the task's message; 0 where the task exists no more.
    mutating func messageLength(_ queue: QueueName, id: [UInt8]) -> Ask<Int64> {
        hstrlen(AsynqKeys.task(queue, id: id), "msg")
    }

    /// Asks for the `TaskMessage` of an archived task; nil where it has left the archive: its id may be another task's
    /// by now.
    mutating func archivedMessage(_ queue: QueueName, id: [UInt8]) -> Ask<[UInt8]?> {
        hmget(AsynqKeys.task(queue, id: id), "msg", "state").map { fields in
            fields[1].map { $0 == Array("archived".utf8) } ?? true ? fields[0] : nil
        }
    }

    /// Asks for the task's `TaskMessage`; nil where the task exists no more.
    mutating func taskMessage(_ queue: QueueName, id: [UInt8]) -> Ask<[UInt8]?> {
        hmget(AsynqKeys.task(queue, id: id), "msg").map { $0[0] }
    }
}

extension StoredTask {
    /// Reads the reply to `HMGET t:<id> msg`; returns nil where the task exists no more.
    /// - Throws: `RedisError` with the refusal, or `.malformed` for a broken message.
    init?(reply: RedisReply, queue: QueueName, names: CarriedNames) throws(RedisError) {
        do throws(RedisError) {
            if let text = reply.errorText { throw RedisError(reply: text) }
            guard let message = reply.elements?.first?.bytes else { return nil }
            try self.init(message: message, names: names)
        } catch {
            throw error.about(queue)
        }
    }
}
