import Model

/// Tells a sentinel from a Redis that does not know a command.
enum SentinelPort {
    /// Returns what to write instead, where a sentinel answers; nil where it is something else.
    ///
    /// - Throws: `RedisError` where the connection fails.
    static func explain(
        _ endpoint: RedisEndpoint, roundTrip: (RedisPipeline) throws(RedisError) -> [RedisReply]
    ) throws(RedisError) -> RedisError? {
        var pipeline = RedisPipeline()
        pipeline.add("ROLE")
        // The reply of a sentinel is ["sentinel", [names of masters]].
        let role = try roundTrip(pipeline)[0].elements ?? []
        guard role.first?.bytes == Array("sentinel".utf8) else { return nil }
        let masters = (role.last?.elements ?? []).compactMap(\.bytes).map { String(decoding: $0, as: UTF8.self) }
        let scheme = endpoint.tls == nil ? "redis" : "rediss"
        let master = masters.first ?? "NAME"
        return RedisError(
            .server,
            "a sentinel answers at \(endpoint.address), and no Redis; set redis.url to "
                + "\(scheme)-sentinel://\(endpoint.address)/\(endpoint.database)?master=\(master)")
    }
}

extension RedisError {
    /// Returns true if an error reply says that the command is unknown.
    static func isUnknownCommand(_ text: String) -> Bool {
        text.lowercased().hasPrefix("err unknown command")
    }
}
