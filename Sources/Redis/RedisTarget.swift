import Model
package import Platform

/// Which Redis to ask: one that is named, the master that sentinels name, or a Cluster.
package struct RedisTarget: Sendable, Equatable {
    /// Where the sentinels are, and what they call the master.
    package struct Sentinels: Sendable, Equatable {
        package var addresses: [RedisEndpoint.Address]
        package var master: String
        package var password: String?

        package init(addresses: [RedisEndpoint.Address], master: String, password: String? = nil) {
            self.addresses = addresses
            self.master = master
            self.password = password
        }
    }

    /// With sentinels or a Cluster its address is a placeholder; credentials, database and TLS are the masters'.
    package var endpoint: RedisEndpoint
    package var sentinels: Sentinels?
    /// Some nodes of a Cluster, from which the others are found; empty: no Cluster.
    package var clusterSeeds: [RedisEndpoint.Address] = []

    package init(_ endpoint: RedisEndpoint, sentinels: Sentinels? = nil) {
        self.endpoint = endpoint
        self.sentinels = sentinels
    }

    package init(_ endpoint: RedisEndpoint, clusterSeeds: [RedisEndpoint.Address]) {
        self.endpoint = endpoint
        self.clusterSeeds = clusterSeeds
    }

    /// Nothing is connected yet.
    package func makeClient(clock: Clock, interrupt: Waker? = nil) -> any RedisClient {
        if clusterSeeds.isEmpty { return SingleRedis(self, clock: clock, interrupt: interrupt) }
        return RedisCluster(self, seeds: clusterSeeds, clock: clock, interrupt: interrupt)
    }

    /// For log lines: no credentials.
    package var description: String {
        if !clusterSeeds.isEmpty { return "Cluster at " + clusterSeeds.map(\.description).joined(separator: ", ") }
        guard let sentinels else { return endpoint.description }
        return "master \(sentinels.master) of \(sentinels.addresses.count) sentinels"
    }

    /// Connects to the one Redis that is meant now.
    func connect(
        clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) -> RedisConnection {
        guard let sentinels else {
            return try RedisConnection(endpoint, clock: clock, deadline: deadline, interrupt: interrupt)
        }
        var last = RedisError(.connection, "no sentinel is configured")
        for (index, address) in sentinels.addresses.enumerated() {
            // One that hangs must leave time for the others.
            let left = deadline.nanoseconds(since: clock.monotonic())
            let share = left / UInt64(sentinels.addresses.count - index)
            let patience = clock.monotonic().advanced(byNanoseconds: max(share, 1))
            do throws(RedisError) {
                let master = try ask(address, sentinels, clock: clock, deadline: patience, interrupt: interrupt)
                return try connect(to: master, clock: clock, deadline: deadline, interrupt: interrupt)
            } catch {
                last = error
            }
        }
        throw last
    }

    /// `SENTINEL get-master-addr-by-name`
    private func ask(
        _ address: RedisEndpoint.Address, _ sentinels: Sentinels, clock: Clock, deadline: MonotonicTime,
        interrupt: Waker?
    ) throws(RedisError) -> RedisEndpoint.Address {
        var sentinel = RedisEndpoint(address: address, password: sentinels.password)
        sentinel.tls = endpoint.tls
        let connection = try RedisConnection(sentinel, clock: clock, deadline: deadline, interrupt: interrupt)
        var pipeline = RedisPipeline()
        pipeline.add("SENTINEL", Array("get-master-addr-by-name".utf8), Array(sentinels.master.utf8))
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[0]
        if let text = reply.errorText { throw RedisError(reply: text) }
        guard let parts = reply.elements?.compactMap(\.bytes), parts.count == 2,
            let port = UInt16(String(decoding: parts[1], as: UTF8.self))
        else {
            throw RedisError(.connection, "the sentinel at \(sentinel.description) knows no master \(sentinels.master)")
        }
        return .tcp(host: String(decoding: parts[0], as: UTF8.self), port: port)
    }

    /// A sentinel may name a Redis that is a master no longer: asked itself, it knows.
    private func connect(
        to address: RedisEndpoint.Address, clock: Clock, deadline: MonotonicTime, interrupt: Waker?
    ) throws(RedisError) -> RedisConnection {
        var master = endpoint
        master.address = address
        let connection = try RedisConnection(master, clock: clock, deadline: deadline, interrupt: interrupt)
        try confirmMaster(connection, deadline: deadline)
        return connection
    }

    /// With sentinels: throws unless the Redis at the other end is a master. Called before each scrape, because a master
    /// that lost its office keeps its connections.
    func confirmMaster(_ connection: RedisConnection, deadline: MonotonicTime) throws(RedisError) {
        if sentinels == nil { return }
        var pipeline = RedisPipeline()
        pipeline.add("ROLE")
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[0]
        if let text = reply.errorText { throw RedisError(reply: text) }
        guard reply.elements?.first?.bytes == Array("master".utf8) else {
            throw RedisError(
                .connection, "\(description): the Redis that the sentinels named is no master; asking again")
        }
    }
}
