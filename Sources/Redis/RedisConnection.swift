package import Model
package import Platform

/// One connection to Redis, logged in. Every call has a deadline that holds for the whole of it, however the far side
/// drips or hangs. One thread at a time uses it.
package final class RedisConnection: RedisClient {
    /// The greatest age. An older connection is made anew before it is used again. The name may lead elsewhere by now,
    /// and certificates and passwords that were read from files may have changed.
    static let maxAge = Duration.seconds(120)

    let link: RedisLink
    private let clock: Clock
    /// The waker that ends a call early; it is not drained here.
    private let interrupt: Waker?
    private let openedAt: MonotonicTime

    /// Connects and logs in.
    /// - Throws: `RedisError` where the connection, TLS or the login fails.
    package convenience init(
        _ endpoint: RedisEndpoint, clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) {
        try self.init(endpoint, RedisConnector(clock: clock, deadline: deadline, interrupt: interrupt))
    }

    /// Connects and logs in.
    /// - Throws: `RedisError` where the connection, TLS or the login fails.
    init(_ endpoint: RedisEndpoint, _ connector: RedisConnector) throws(RedisError) {
        openedAt = connector.clock.monotonic()
        link = try connector.open(endpoint)
        clock = connector.clock
        interrupt = connector.interrupt
    }

    var address: RedisEndpoint.Address { link.endpoint.address }

    /// True if it has reached its greatest age.
    var isAged: Bool { clock.monotonic().duration(since: openedAt) >= Self.maxAge }

    /// Returns the url to write in redis.url, if a sentinel answers at this address.
    ///
    /// - Throws: `RedisError` where the connection fails.
    func explainSentinel(deadline: MonotonicTime) throws(RedisError) -> RedisError? {
        try SentinelPort.explain(link.endpoint) { pipeline throws(RedisError) in
            try roundTrip(pipeline, deadline: deadline)
        }
    }

    /// Sends all commands and reads all replies. Writing and reading overlap, so that neither side's buffers fill up.
    /// - Throws: `RedisError` where the connection fails or the deadline passes. The connection has to be dropped then.
    package func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        let exchange = try exchange(pipeline, deadline: deadline)
        if let failure = exchange.failure { throw failure }
        return pipeline.repliesOfOneNode(exchange.replies)
    }

    /// Does the same, and returns the replies that came before a failure as well.
    ///
    /// - Throws: `RedisError` only when it is interrupted, or can't wait.
    func exchange(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> RedisExchange {
        var exchanges = [RedisExchange(link, pipeline)]
        try RedisExchange.run(&exchanges, clock: clock, deadline: deadline, interrupt: interrupt)
        return exchanges[0]
    }
}
