import Model
package import Platform

/// The Redis to ask: one that is named, the master that sentinels name, or a Cluster.
package struct RedisTarget: Sendable {
    /// The server, with its credentials, database and TLS. With sentinels or a Cluster the address is a placeholder,
    /// and the rest is that of the masters.
    package var endpoint: RedisEndpoint
    package var sentinels: RedisSentinels?
    /// Some nodes of a Cluster, from which the others are found; empty for anything but a Cluster.
    package var clusterSeeds: [RedisEndpoint.Address] = []
    /// Returns the same target with the present content of the files of secrets; nil where none are configured.
    package var reread: (@Sendable () -> RedisTarget)?

    package init(_ endpoint: RedisEndpoint, sentinels: RedisSentinels? = nil) {
        self.endpoint = endpoint
        self.sentinels = sentinels
    }

    package init(_ endpoint: RedisEndpoint, clusterSeeds: [RedisEndpoint.Address]) {
        self.endpoint = endpoint
        self.clusterSeeds = clusterSeeds
    }

    /// The target as it is now; asked for each new connection.
    var current: RedisTarget { reread?() ?? self }

    /// Makes a client that has not connected yet.
    package func makeClient(clock: Clock, interrupt: Waker? = nil) -> any RedisClient {
        if clusterSeeds.isEmpty { return SingleRedis(self, clock: clock, interrupt: interrupt) }
        return RedisCluster(self, clock: clock, interrupt: interrupt)
    }

    /// The target for log lines, without credentials.
    package var description: String {
        if !clusterSeeds.isEmpty { return "Cluster at " + clusterSeeds.map(\.description).joined(separator: ", ") }
        return sentinels?.description ?? endpoint.description
    }

    /// The url of what is read: without credentials, with the database.
    package var url: String {
        let scheme = endpoint.tls == nil ? "redis" : "rediss"
        func list(_ addresses: [RedisEndpoint.Address]) -> String {
            addresses.map(\.description).joined(separator: ",")
        }
        if !clusterSeeds.isEmpty { return "\(scheme)-cluster://\(list(clusterSeeds))" }
        if let sentinels {
            return "\(scheme)-sentinel://\(list(sentinels.addresses))/\(endpoint.database)?master=\(sentinels.master)"
        }
        switch endpoint.address {
        case .tcp: return "\(scheme)://\(endpoint.address)/\(endpoint.database)"
        case .unix(let path): return "unix://\(path)?db=\(endpoint.database)"
        }
    }
}

extension RedisTarget: Equatable {
    /// Compares what is configured, whatever its source.
    package static func == (left: RedisTarget, right: RedisTarget) -> Bool {
        left.endpoint == right.endpoint && left.sentinels == right.sentinels && left.clusterSeeds == right.clusterSeeds
    }
}
