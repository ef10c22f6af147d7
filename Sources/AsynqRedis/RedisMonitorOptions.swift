package import Redis

package struct RedisMonitorOptions: Sendable {
    package var target: RedisTarget
    package var intervalNanoseconds: UInt64
    /// The budget of one whole scrape, connecting included.
    package var timeoutNanoseconds: UInt64
    package var filter: QueueFilter
    /// nil = off.
    package var lookAhead: LookAheadOptions?
    /// Between two samplings of MEMORY USAGE; nil = off.
    package var memoryIntervalNanoseconds: UInt64?
    /// Where tasks carry their trace context.
    package var contextKeys = TaskContextKeys()

    package init(
        target: RedisTarget, intervalNanoseconds: UInt64, timeoutNanoseconds: UInt64, filter: QueueFilter = .all
    ) {
        self.target = target
        self.intervalNanoseconds = intervalNanoseconds
        self.timeoutNanoseconds = timeoutNanoseconds
        self.filter = filter
    }
}

package struct LookAheadOptions: Sendable, Equatable {
    /// Next tasks of each queue that are looked at.
    package var count: Int
    package var intervalNanoseconds: UInt64

    package init(count: Int, intervalNanoseconds: UInt64) {
        self.count = count
        self.intervalNanoseconds = intervalNanoseconds
    }
}
