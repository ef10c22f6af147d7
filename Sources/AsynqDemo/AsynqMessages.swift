import ProtobufWire

// The protobuf messages that Asynq 0.26 stores in Redis, as far as a producer and workers write them. Field numbers and
// meanings: Asynq's internal/proto.

/// `TaskMessage`: the `msg` field of a task's hash.
struct TaskMessage {
    var type: String
    /// JSON.
    var payload: [UInt8]
    var id: String
    var queue: String
    /// Most retries.
    var retry: Int64
    var retried: Int64 = 0
    var errorMessage = ""
    var timeoutSeconds: Int64 = 1800
    var lastFailedAt: Int64 = 0
    var retentionSeconds: Int64 = 0
    var completedAt: Int64 = 0
    /// Asynq ≥ 0.26.
    var headers: [(String, String)] = []

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(1, type)
        writer.data(2, payload)
        writer.string(3, id)
        writer.string(4, queue)
        writer.int(5, retry)
        writer.int(6, retried)
        writer.string(7, errorMessage)
        writer.int(8, timeoutSeconds)
        writer.int(11, lastFailedAt)
        writer.int(12, retentionSeconds)
        writer.int(13, completedAt)
        for (key, value) in headers {
            writer.message(15) {
                $0.string(1, key)
                $0.string(2, value)
            }
        }
        return writer.bytes
    }
}

/// `ServerInfo`: what a worker process says of itself every five seconds.
struct ServerInfo {
    let host: String
    let pid: Int64
    let id: String
    let concurrency: Int64
    let queues: [(name: String, priority: Int64)]
    let startedAtSeconds: Int64
    var activeWorkers: Int64

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(1, host)
        writer.int(2, pid)
        writer.string(3, id)
        writer.int(4, concurrency)
        for queue in queues {
            writer.message(5) {
                $0.string(1, queue.name)
                $0.int(2, queue.priority)
            }
        }
        writer.string(7, "active")
        writer.message(8) { $0.int(1, startedAtSeconds) }
        writer.int(9, activeWorkers)
        return writer.bytes
    }

    /// `{host:pid:serverID}`, as the keys of the server have it.
    var keySuffix: String { "{\(host):\(pid):\(id)}" }
}

/// `WorkerInfo`: one task that a server is working on.
struct WorkerInfo {
    let server: ServerInfo
    let task: TaskMessage
    let startedAtSeconds: Int64

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(1, server.host)
        writer.int(2, server.pid)
        writer.string(3, server.id)
        writer.string(4, task.id)
        writer.string(5, task.type)
        writer.data(6, task.payload)
        writer.string(7, task.queue)
        writer.message(8) { $0.int(1, startedAtSeconds) }
        writer.message(9) { $0.int(1, startedAtSeconds + task.timeoutSeconds) }
        return writer.bytes
    }
}

/// `SchedulerEntry`: one cron entry of a scheduler.
struct SchedulerEntry {
    let id: String
    let spec: String
    let taskType: String
    let queue: String
    let nextSeconds: Int64
    let previousSeconds: Int64

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(1, id)
        writer.string(2, spec)
        writer.string(3, taskType)
        writer.string(5, "Queue(\"\(queue)\")")
        writer.message(6) { $0.int(1, nextSeconds) }
        writer.message(7) { $0.int(1, previousSeconds) }
        return writer.bytes
    }
}
