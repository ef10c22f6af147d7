package import Model

/// The Redis keys of Asynq 0.24 to 0.26. The braces are literal: they are Cluster's hash tag.
package enum AsynqKeys {
    /// The SET of queue names.
    package static let queues = Array("asynq:queues".utf8)
    /// The ZSETs of the keys of servers, of their workers and of schedulers; the score is their expiry in Unix seconds.
    package static let servers = Array("asynq:servers".utf8)
    package static let workers = Array("asynq:workers".utf8)
    package static let schedulers = Array("asynq:schedulers".utf8)

    /// Returns `asynq:{<queue>}:<suffix>`; the name goes in verbatim.
    package static func queue(_ name: QueueName, _ suffix: StaticString) -> [UInt8] {
        queuePrefix(name) + UnsafeBufferPointer(start: suffix.utf8Start, count: suffix.utf8CodeUnitCount)
    }

    /// Returns the key of one task's HASH: `asynq:{<queue>}:t:<id>`.
    package static func task(_ queue: QueueName, id: [UInt8]) -> [UInt8] {
        queuePrefix(queue) + Array("t:".utf8) + id
    }

    /// Returns the key of one aggregation group's ZSET: `asynq:{<queue>}:g:<group>`.
    package static func group(_ queue: QueueName, _ group: [UInt8]) -> [UInt8] {
        queuePrefix(queue) + Array("g:".utf8) + group
    }

    /// Returns the key of the HASH of a server's workers (task id → WorkerInfo), by the server's key
    /// `asynq:servers:{…}`.
    static func workers(ofServer key: [UInt8]) -> [UInt8] {
        workers + key.dropFirst(servers.count)
    }

    /// Returns the key of the ZSET of what a cron entry has enqueued (SchedulerEnqueueEvent; the score is the time in
    /// Unix seconds).
    package static func schedulerHistory(ofEntry id: ForeignText) -> [UInt8] {
        Array("asynq:scheduler_history:".utf8) + id.bytes
    }

    private static func queuePrefix(_ name: QueueName) -> [UInt8] {
        Array("asynq:{".utf8) + name.bytes + Array("}:".utf8)
    }
}
