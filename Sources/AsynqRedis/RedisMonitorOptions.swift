package import Redis

package struct RedisMonitorOptions: Sendable {
    package var target: RedisTarget
    package var interval: Duration
    /// The budget of one whole scrape, connecting included.
    package var timeout: Duration
    package var filter: QueueFilter
    /// The options of the look-ahead; nil where it is off.
    package var lookAhead: LookAheadOptions?
    /// The time between two samplings of MEMORY USAGE; nil where they are off.
    package var memoryInterval: Duration?
    /// The names under which tasks carry their trace context.
    package var contextKeys = TaskContextKeys()
    /// The bytes that the memory of tasks may take.
    package var seenTasksBytes = SeenTasks.defaultBytes
    /// The bytes that a scrape of queues may take.
    package var queueBytes = 256 << 20

    package init(target: RedisTarget, interval: Duration, timeout: Duration, filter: QueueFilter = .all) {
        self.target = target
        self.interval = interval
        self.timeout = timeout
        self.filter = filter
    }
}

package struct LookAheadOptions: Sendable, Equatable {
    /// The number of next tasks that are read of each queue.
    package var count: Int
    package var interval: Duration

    package init(count: Int, interval: Duration) {
        self.count = count
        self.interval = interval
    }
}
