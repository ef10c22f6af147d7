import Model
import Platform

/// Finds the master behind sentinels, and remembers which of them was right.
///
///     no connection      the sentinels in turn, the one that was right last time first: each names an address, and the
///                        Redis there has to say that it is a master. All of that fits into that sentinel's share of the time
///     a connection       its ROLE each time. Every `askInterval` one sentinel, each in turn, says where the master is; where
///                        that is elsewhere, all are asked, and most of them decide
struct MasterSearch {
    static let askInterval = Duration.seconds(10)

    /// The address of the sentinel that was right last time.
    private var rightAddress: RedisEndpoint.Address?
    private var askedAt = MonotonicTime(nanoseconds: 0)
    /// The number of times that a sentinel was asked beside ROLE.
    private var turns = 0

    /// - Throws: `RedisError` with the reason why the last sentinel, or the Redis that it named, could not be used.
    mutating func connect(
        _ endpoint: RedisEndpoint, sentinels: RedisSentinels, connector: RedisConnector
    ) throws(RedisError) -> RedisConnection {
        var last = RedisError(.connection, "no sentinel is configured")
        let candidates = inOrder(sentinels.addresses)
        var failed: [RedisEndpoint.Address: RedisError] = [:]
        for (index, address) in candidates.enumerated() {
            // The last candidate has all that is left.
            let share = connector.withShareOfTime(of: candidates.count - index)
            do throws(RedisError) {
                let named = try sentinels.masterAddress(from: address, tls: endpoint.tls, share)
                // A master that was only slow gets all the time that is left, once the last sentinel names it.
                let isLast = index == candidates.count - 1
                if let known = failed[named], known.reason != .timeout || !isLast { throw known }
                do throws(RedisError) {
                    let connection = try Self.connect(endpoint, to: named, share)
                    rightAddress = address
                    askedAt = connector.clock.monotonic()
                    return connection
                } catch {
                    // Another sentinel that names the same master then costs no time.
                    failed[named] = error
                    throw error
                }
            } catch {
                last = error
            }
        }
        throw last
    }

    /// Returns the connection, or one to another master where the sentinels have elected one.
    ///
    /// - Throws: `RedisError` where the Redis at the other end is not a master, as it says itself.
    mutating func confirm(
        _ connection: RedisConnection, endpoint: RedisEndpoint, sentinels: RedisSentinels,
        connector: RedisConnector
    ) throws(RedisError) -> RedisConnection {
        try Self.confirmRole(connection, connector)
        let now = connector.clock.monotonic()
        guard now.duration(since: askedAt) >= Self.askInterval, !sentinels.addresses.isEmpty else { return connection }
        askedAt = now
        turns += 1
        let next = sentinels.addresses[turns % sentinels.addresses.count]
        // The scrape itself is still to come. A sentinel that does not answer says nothing of the master.
        guard
            let named = Self.answer(
                of: next, endpoint: endpoint, sentinels: sentinels, connector: connector.withShareOfTime(of: 4)),
            named != connection.address,
            let elected = elect(
                besides: connection.address, endpoint: endpoint, sentinels: sentinels,
                connector: connector.withShareOfTime(of: 2))
        else { return connection }
        do throws(RedisError) {
            return try Self.connect(endpoint, to: elected, connector.withShareOfTime(of: 2))
        } catch {
            // This Redis says that it is a master, and the other one does not.
            return connection
        }
    }

    /// Returns the address that most sentinels name, if that differs from `current`.
    private func elect(
        besides current: RedisEndpoint.Address, endpoint: RedisEndpoint, sentinels: RedisSentinels,
        connector: RedisConnector
    ) -> RedisEndpoint.Address? {
        var votes: [RedisEndpoint.Address: Int] = [:]
        for (index, address) in sentinels.addresses.enumerated() {
            let share = connector.withShareOfTime(of: sentinels.addresses.count - index)
            if let named = Self.answer(of: address, endpoint: endpoint, sentinels: sentinels, connector: share) {
                votes[named, default: 0] += 1
            }
        }
        let current = votes[current] ?? 0
        return votes.filter { $0.value > current }.max { $0.value < $1.value }?.key
    }

    private static func answer(
        of sentinel: RedisEndpoint.Address, endpoint: RedisEndpoint, sentinels: RedisSentinels,
        connector: RedisConnector
    ) -> RedisEndpoint.Address? {
        do throws(RedisError) {
            return try sentinels.masterAddress(from: sentinel, tls: endpoint.tls, connector)
        } catch {
            return nil
        }
    }

    private func inOrder(_ addresses: [RedisEndpoint.Address]) -> [RedisEndpoint.Address] {
        guard let rightAddress, addresses.contains(rightAddress) else { return addresses }
        return [rightAddress] + addresses.filter { $0 != rightAddress }
    }

    private static func connect(
        _ endpoint: RedisEndpoint, to address: RedisEndpoint.Address, _ connector: RedisConnector
    ) throws(RedisError) -> RedisConnection {
        var master = endpoint
        master.address = address
        let connection = try RedisConnection(master, connector)
        try confirmRole(connection, connector)
        return connection
    }

    /// Asks the Redis at the other end for its `ROLE`.
    ///
    /// - Throws: `.connection` unless it is a master.
    private static func confirmRole(_ connection: RedisConnection, _ connector: RedisConnector) throws(RedisError) {
        var pipeline = RedisPipeline()
        let role = pipeline.add("ROLE")
        let reply = try connection.roundTrip(pipeline, deadline: connector.deadline)[role]
        guard reply?.elements?.first?.bytes == Array("master".utf8) else {
            throw RedisError(
                .connection,
                "the Redis at \(connection.address), which the sentinels named, is not a master; they are asked again")
        }
    }
}
