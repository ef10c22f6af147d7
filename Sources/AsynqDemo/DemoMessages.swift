import AsynqRedis
import ProtobufWire

// These are the protobuf messages that Asynq 0.26 stores in Redis, as far as a producer and workers write them. The
// fields are those of the readers in AsynqRedis/Messages.

/// `TaskMessage`: the `msg` field of a task's hash.
struct TaskMessage {
    var type: String
    /// The payload, which is JSON.
    var payload: [UInt8]
    var id: String
    var queue: String
    /// The largest number of retries.
    var retry: Int64
    var retried: Int64 = 0
    var errorMessage = ""
    var timeoutSeconds: Int64 = 1800
    var lastFailedAt: Int64 = 0
    var retentionSeconds: Int64 = 0
    var completedAt: Int64 = 0
    /// The task's headers, which Asynq 0.26 and newer have.
    var headers: [(String, String)] = []

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(TaskMessageField.type, type)
        writer.data(TaskMessageField.payload, payload)
        writer.string(TaskMessageField.id, id)
        writer.string(TaskMessageField.queue, queue)
        writer.int(TaskMessageField.retry, retry)
        writer.int(TaskMessageField.retried, retried)
        writer.string(TaskMessageField.errorMessage, errorMessage)
        writer.int(TaskMessageField.timeoutSeconds, timeoutSeconds)
        writer.int(TaskMessageField.lastFailedAt, lastFailedAt)
        writer.int(TaskMessageField.retentionSeconds, retentionSeconds)
        writer.int(TaskMessageField.completedAt, completedAt)
        for (key, value) in headers {
            writer.message(TaskMessageField.headers) {
                $0.string(MapEntryField.key, key)
                $0.string(MapEntryField.value, value)
            }
        }
        return writer.bytes
    }
}

/// `ServerInfo`: the status that a worker process writes every five seconds.
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
        writer.string(ServerInfoField.host, host)
        writer.int(ServerInfoField.pid, pid)
        writer.string(ServerInfoField.serverID, id)
        writer.int(ServerInfoField.concurrency, concurrency)
        for queue in queues {
            writer.message(ServerInfoField.queues) {
                $0.string(MapEntryField.key, queue.name)
                $0.int(MapEntryField.value, queue.priority)
            }
        }
        writer.string(ServerInfoField.status, "active")
        writer.message(ServerInfoField.startTime) { $0.int(TimestampField.seconds, startedAtSeconds) }
        writer.int(ServerInfoField.activeWorkers, activeWorkers)
        return writer.bytes
    }

    /// The part `{host:pid:serverID}` of the server's keys.
    var keySuffix: String { "{\(host):\(pid):\(id)}" }
}

/// `WorkerInfo`: one task that a server is working on.
struct WorkerInfo {
    let server: ServerInfo
    let task: TaskMessage
    let startedAtSeconds: Int64

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.string(WorkerInfoField.host, server.host)
        writer.int(WorkerInfoField.pid, server.pid)
        writer.string(WorkerInfoField.serverID, server.id)
        writer.string(WorkerInfoField.taskID, task.id)
        writer.string(WorkerInfoField.taskType, task.type)
        writer.data(WorkerInfoField.taskPayload, task.payload)
        writer.string(WorkerInfoField.queue, task.queue)
        writer.message(WorkerInfoField.startTime) { $0.int(TimestampField.seconds, startedAtSeconds) }
        writer.message(WorkerInfoField.deadline) {
            $0.int(TimestampField.seconds, startedAtSeconds + task.timeoutSeconds)
        }
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
        writer.string(SchedulerEntryField.id, id)
        writer.string(SchedulerEntryField.spec, spec)
        writer.string(SchedulerEntryField.taskType, taskType)
        writer.string(SchedulerEntryField.options, "Queue(\"\(queue)\")")
        writer.message(SchedulerEntryField.nextEnqueueTime) { $0.int(TimestampField.seconds, nextSeconds) }
        writer.message(SchedulerEntryField.previousEnqueueTime) { $0.int(TimestampField.seconds, previousSeconds) }
        return writer.bytes
    }

    /// `SchedulerEnqueueEvent`: the record that its last tick has enqueued a task.
    var lastEvent: [UInt8] {
        var writer = WireWriter()
        writer.string(SchedulerEnqueueEventField.taskID, "\(id) \(previousSeconds)")
        writer.message(SchedulerEnqueueEventField.enqueueTime) { $0.int(TimestampField.seconds, previousSeconds) }
        return writer.bytes
    }
}

extension WireWriter {
    fileprivate mutating func string(_ field: some RawRepresentable<Int>, _ value: String) {
        string(field.rawValue, value)
    }
    fileprivate mutating func data(_ field: some RawRepresentable<Int>, _ value: [UInt8]) {
        data(field.rawValue, value)
    }
    fileprivate mutating func int(_ field: some RawRepresentable<Int>, _ value: Int64) { int(field.rawValue, value) }
    fileprivate mutating func message(_ field: some RawRepresentable<Int>, _ write: (inout WireWriter) -> Void) {
        message(field.rawValue, write)
    }
}
