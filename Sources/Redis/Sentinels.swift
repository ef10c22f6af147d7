import Model
import Platform

/// The addresses of the sentinels, their name for the master, and the login to them.
package struct RedisSentinels: Sendable, Equatable {
    package var addresses: [RedisEndpoint.Address]
    package var master: String
    package var username: String?
    package var password: String?

    package init(
        addresses: [RedisEndpoint.Address], master: String, username: String? = nil, password: String? = nil
    ) {
        self.addresses = addresses
        self.master = master
        self.username = username
        self.password = password
    }

    /// The sentinels for log lines, without credentials.
    var description: String { "master \(master) of \(addresses.count) sentinels" }

    /// Asks by `SENTINEL get-master-addr-by-name`.
    ///
    /// - Throws: `RedisError` with the reason why this sentinel names no master.
    func masterAddress(
        from address: RedisEndpoint.Address, tls: RedisTLSOptions?, _ connector: RedisConnector
    ) throws(RedisError) -> RedisEndpoint.Address {
        var sentinel = RedisEndpoint(address: address, username: username, password: password)
        sentinel.maxReplyBytes = 1 << 20
        sentinel.tls = tls
        sentinel.peer = .sentinel
        var connector = connector
        // A command at which a proxy before the master hangs up says nothing of the sentinels.
        connector.name = ClientName()
        let link = try RedisConnection(sentinel, connector).link
        var pipeline = RedisPipeline()
        pipeline.add("SENTINEL", Array("get-master-addr-by-name".utf8), Array(master.utf8))
        let reply = try connector.roundTrip(pipeline, over: link)[0]
        if let text = reply.errorText {
            if RedisError.isUnknownCommand(text) {
                throw RedisError(
                    .server,
                    "what answers at \(address) is not a sentinel; for a Redis alone set redis.url to redis://\(address)"
                )
            }
            throw RedisError(reply: text, from: .sentinel, at: sentinel.description)
        }
        let parts = reply.elements?.compactMap(\.bytes)
        guard let parts, parts.count == 2, let port = UInt16(String(decoding: parts[1], as: UTF8.self)) else {
            throw RedisError(.connection, "the \(sentinel.name) knows no master \(master)")
        }
        return .tcp(host: String(decoding: parts[0], as: UTF8.self), port: port)
    }
}
