import Model
package import Platform

/// Which Redis to ask: one that is named, the master that sentinels name, or a Cluster.
package struct RedisTarget: Sendable, Equatable {
    /// With sentinels or a Cluster its address is a placeholder; credentials, database and TLS are the masters'.
    package var endpoint: RedisEndpoint
    package var sentinels: RedisSentinels?
    /// Some nodes of a Cluster, from which the others are found; empty: no Cluster.
    package var clusterSeeds: [RedisEndpoint.Address] = []

    package init(_ endpoint: RedisEndpoint, sentinels: RedisSentinels? = nil) {
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
        return sentinels?.description ?? endpoint.description
    }

    /// Connects to the one Redis that is meant now.
    func connect(
        clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) -> RedisConnection {
        let connector = RedisConnector(clock: clock, deadline: deadline, interrupt: interrupt)
        guard let sentinels else { return try connector.connect(endpoint) }
        return try sentinels.connectToMaster(endpoint, connector)
    }

    /// Called before each scrape, because a master that lost its role keeps its connections.
    ///
    /// - Throws: with sentinels, `.connection` unless the Redis at the other end is a master.
    func confirmMaster(_ connection: RedisConnection, deadline: MonotonicTime) throws(RedisError) {
        try sentinels?.confirmMaster(connection, deadline: deadline)
    }
}
