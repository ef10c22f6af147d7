import Model
package import Platform

/// Which Redis to ask: one that is named, the master that sentinels name, or a Cluster.
package struct RedisTarget: Sendable {
    /// With sentinels or a Cluster its address is a placeholder; credentials, database and TLS are the masters'.
    package var endpoint: RedisEndpoint
    package var sentinels: RedisSentinels?
    /// Some nodes of a Cluster, from which the others are found; empty: no Cluster.
    package var clusterSeeds: [RedisEndpoint.Address] = []
    /// The same with what the files of secrets hold now; nil where there are none.
    package var reread: (@Sendable () -> RedisTarget)?

    package init(_ endpoint: RedisEndpoint, sentinels: RedisSentinels? = nil) {
        self.endpoint = endpoint
        self.sentinels = sentinels
    }

    package init(_ endpoint: RedisEndpoint, clusterSeeds: [RedisEndpoint.Address]) {
        self.endpoint = endpoint
        self.clusterSeeds = clusterSeeds
    }

    /// To be asked for each new connection.
    var current: RedisTarget { reread?() ?? self }

    /// Nothing is connected yet.
    package func makeClient(clock: Clock, interrupt: Waker? = nil) -> any RedisClient {
        if clusterSeeds.isEmpty { return SingleRedis(self, clock: clock, interrupt: interrupt) }
        return RedisCluster(self, clock: clock, interrupt: interrupt)
    }

    /// For log lines: no credentials.
    package var description: String {
        if !clusterSeeds.isEmpty { return "Cluster at " + clusterSeeds.map(\.description).joined(separator: ", ") }
        return sentinels?.description ?? endpoint.description
    }

    /// What is read, as the url that leads to it: without credentials, with the database.
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
    /// Compares what is configured, and not where it comes from.
    package static func == (left: RedisTarget, right: RedisTarget) -> Bool {
        left.endpoint == right.endpoint && left.sentinels == right.sentinels && left.clusterSeeds == right.clusterSeeds
    }
}
