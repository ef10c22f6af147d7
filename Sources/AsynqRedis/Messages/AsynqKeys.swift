package import Model

/// The Redis keys of Asynq 0.24 to 0.26. The braces are literal: they are Cluster's hash tag.
package enum AsynqKeys {
    /// SET of queue names.
    package static let queues = Array("asynq:queues".utf8)
    /// ZSETs of the keys of servers, of their workers and of schedulers; score = when they expire, Unix seconds.
    package static let servers = Array("asynq:servers".utf8)
    package static let workers = Array("asynq:workers".utf8)
    package static let schedulers = Array("asynq:schedulers".utf8)

    /// `asynq:{<queue>}:<suffix>`; the name goes in verbatim.
    package static func queue(_ name: QueueName, _ suffix: StaticString) -> [UInt8] {
        queuePrefix(name) + UnsafeBufferPointer(start: suffix.utf8Start, count: suffix.utf8CodeUnitCount)
    }

    /// HASH of one task: `asynq:{<queue>}:t:<id>`.
    package static func task(_ queue: QueueName, id: [UInt8]) -> [UInt8] {
        queuePrefix(queue) + Array("t:".utf8) + id
    }

    /// ZSET of one aggregation group: `asynq:{<queue>}:g:<group>`.
    package static func group(_ queue: QueueName, _ group: [UInt8]) -> [UInt8] {
        queuePrefix(queue) + Array("g:".utf8) + group
    }

    /// HASH of what a server's workers do (task id → WorkerInfo), by the server's key `asynq:servers:{…}`.
    static func workers(ofServer key: [UInt8]) -> [UInt8] {
        workers + key.dropFirst(servers.count)
    }

    /// ZSET of what a cron entry has enqueued (SchedulerEnqueueEvent; score = when, Unix seconds).
    package static func schedulerHistory(ofEntry id: ForeignText) -> [UInt8] {
        Array("asynq:scheduler_history:".utf8) + id.bytes
    }

    private static func queuePrefix(_ name: QueueName) -> [UInt8] {
        Array("asynq:{".utf8) + name.bytes + Array("}:".utf8)
    }
}
