import Model
import Platform

/// Where the sentinels are, and what they call the master.
package struct RedisSentinels: Sendable, Equatable {
    package var addresses: [RedisEndpoint.Address]
    package var master: String
    package var password: String?

    package init(addresses: [RedisEndpoint.Address], master: String, password: String? = nil) {
        self.addresses = addresses
        self.master = master
        self.password = password
    }

    /// For log lines: no credentials.
    var description: String { "master \(master) of \(addresses.count) sentinels" }

    /// Asks the sentinels in turn where the master is, until one names a Redis that says the same of itself.
    ///
    /// - Parameter endpoint: the master's credentials, database and TLS.
    /// - Throws: why the last sentinel, or the Redis that it named, could not be used.
    func connectToMaster(_ endpoint: RedisEndpoint, _ connector: RedisConnector) throws(RedisError) -> RedisConnection {
        var last = RedisError(.connection, "no sentinel is configured")
        for (index, address) in addresses.enumerated() {
            do throws(RedisError) {
                // A sentinel that hangs must leave time for the others.
                let share = connector.withShareOfTime(of: addresses.count - index)
                var master = endpoint
                master.address = try masterAddress(from: address, tls: endpoint.tls, share)
                let connection = try connector.connect(master)
                // A sentinel may name a Redis that is a master no longer.
                try confirmMaster(connection, deadline: connector.deadline)
                return connection
            } catch {
                last = error
            }
        }
        throw last
    }

    /// `SENTINEL get-master-addr-by-name`
    private func masterAddress(
        from address: RedisEndpoint.Address, tls: RedisTLSOptions?, _ connector: RedisConnector
    ) throws(RedisError) -> RedisEndpoint.Address {
        var sentinel = RedisEndpoint(address: address, password: password)
        sentinel.tls = tls
        let connection = try connector.connect(sentinel)
        var pipeline = RedisPipeline()
        let ask = pipeline.add("SENTINEL", Array("get-master-addr-by-name".utf8), Array(master.utf8))
        let parts = try connection.roundTrip(pipeline, deadline: connector.deadline)[ask]?.elements?.compactMap(\.bytes)
        guard let parts, parts.count == 2, let port = UInt16(String(decoding: parts[1], as: UTF8.self)) else {
            throw RedisError(.connection, "the sentinel at \(sentinel.description) knows no master \(master)")
        }
        return .tcp(host: String(decoding: parts[0], as: UTF8.self), port: port)
    }

    /// Asks the Redis at the other end for its `ROLE`.
    ///
    /// - Throws: `.connection` unless it is a master.
    func confirmMaster(_ connection: RedisConnection, deadline: MonotonicTime) throws(RedisError) {
        var pipeline = RedisPipeline()
        let role = pipeline.add("ROLE")
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[role]
        guard reply?.elements?.first?.bytes == Array("master".utf8) else {
            throw RedisError(
                .connection, "\(description): the Redis that the sentinels named is no master; asking again")
        }
    }
}

/// How connections are made: by which clock, until when, and ended early by what.
struct RedisConnector {
    let clock: Clock
    let deadline: MonotonicTime
    let interrupt: Waker?

    func connect(_ endpoint: RedisEndpoint) throws(RedisError) -> RedisConnection {
        try RedisConnection(endpoint, clock: clock, deadline: deadline, interrupt: interrupt)
    }

    /// The same with an equal part of the time that is left.
    func withShareOfTime(of parts: Int) -> RedisConnector {
        let now = clock.monotonic()
        let share = deadline.duration(since: now) / parts
        return RedisConnector(
            clock: clock, deadline: now.advanced(by: max(share, .nanoseconds(1))), interrupt: interrupt)
    }
}
