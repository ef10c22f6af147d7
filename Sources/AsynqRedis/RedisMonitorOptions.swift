package import Redis

package struct RedisMonitorOptions: Sendable {
    package var target: RedisTarget
    package var interval: Duration
    /// The budget of one whole scrape, connecting included.
    package var timeout: Duration
    package var filter: QueueFilter
    /// nil = off.
    package var lookAhead: LookAheadOptions?
    /// Between two samplings of MEMORY USAGE; nil = off.
    package var memoryInterval: Duration?
    /// Where tasks carry their trace context.
    package var contextKeys = TaskContextKeys()
    /// What is remembered of tasks may take so much.
    package var seenTasksBytes = SeenTasks.defaultBytes
    /// What is read of queues may take so much.
    package var queueBytes = 256 << 20

    package init(target: RedisTarget, interval: Duration, timeout: Duration, filter: QueueFilter = .all) {
        self.target = target
        self.interval = interval
        self.timeout = timeout
        self.filter = filter
    }
}

package struct LookAheadOptions: Sendable, Equatable {
    /// Next tasks of each queue that are looked at.
    package var count: Int
    package var interval: Duration

    package init(count: Int, interval: Duration) {
        self.count = count
        self.interval = interval
    }
}
