package import Model
package import Platform

/// One connection to Redis, logged in. Every call has a deadline that holds for the whole of it, however the far side drips or
/// hangs. Used by one thread at a time.
package final class RedisConnection: RedisClient {
    /// A connection that is older is made anew before it is used again: the name may lead elsewhere by now, and certificates
    /// and passwords that were read from files may have changed.
    static let maxAge = Duration.seconds(120)

    let link: RedisLink
    private let clock: Clock
    /// Ends a call early when it wakes; not drained here.
    private let interrupt: Waker?
    private let openedAt: MonotonicTime

    /// Connects and logs in.
    package convenience init(
        _ endpoint: RedisEndpoint, clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) {
        try self.init(endpoint, RedisConnector(clock: clock, deadline: deadline, interrupt: interrupt))
    }

    init(_ endpoint: RedisEndpoint, _ connector: RedisConnector) throws(RedisError) {
        openedAt = connector.clock.monotonic()
        link = try connector.open(endpoint)
        clock = connector.clock
        interrupt = connector.interrupt
    }

    var address: RedisEndpoint.Address { link.endpoint.address }

    /// Whether it has reached its greatest age.
    var isAged: Bool { clock.monotonic().duration(since: openedAt) >= Self.maxAge }

    /// Returns what to write in redis.url, where it is a sentinel that answers.
    ///
    /// - Throws: where the connection fails.
    func explainSentinel(deadline: MonotonicTime) throws(RedisError) -> RedisError? {
        try SentinelPort.explain(link.endpoint) { pipeline throws(RedisError) in
            try roundTrip(pipeline, deadline: deadline)
        }
    }

    /// Sends all commands and reads all replies; writing and reading overlap, so that neither side's buffers fill up.
    package func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        let exchange = try exchange(pipeline, deadline: deadline)
        if let failure = exchange.failure { throw failure }
        return pipeline.repliesOfOneNode(exchange.replies)
    }

    /// The same, with what has come back until it failed.
    ///
    /// - Throws: only when it is interrupted, or can't wait.
    func exchange(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> RedisExchange {
        var exchanges = [RedisExchange(link, pipeline)]
        try RedisExchange.run(&exchanges, clock: clock, deadline: deadline, interrupt: interrupt)
        return exchanges[0]
    }
}
