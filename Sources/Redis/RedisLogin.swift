/// The login over a fresh connection, in one round trip.
///
///     AUTH [user] password      where there is one; a user without a password has an empty one
///     SELECT database           unless it is 0
///     CLIENT SETNAME            for CLIENT LIST; may be refused in any words, or by the end of the connection
///     PING                      in its place where the far side has hung up at it
struct RedisLogin {
    private static let clientName = "asynq-collector"

    private var pipeline = RedisPipeline()
    /// The number of commands that must not be refused.
    private let required: Int

    init(_ endpoint: RedisEndpoint, withName: Bool = true) {
        let password = Array((endpoint.password ?? "").utf8)
        if let username = endpoint.username {
            pipeline.add("AUTH", Array(username.utf8), password)
        } else if !password.isEmpty {
            pipeline.add("AUTH", password)
        }
        if endpoint.database != 0 { pipeline.add("SELECT", Array(String(endpoint.database).utf8)) }
        required = pipeline.count
        if withName {
            pipeline.add("CLIENT", Array("SETNAME".utf8), Array(Self.clientName.utf8))
        } else {
            pipeline.add("PING")
        }
    }

    /// Returns the connection, logged in.
    ///
    /// - Throws: `RedisError` with the refusal, and with `disconnect` set where the far side has hung up.
    func perform(over link: RedisLink, _ connector: RedisConnector) throws(RedisError) -> RedisLink {
        let replies = try connector.roundTrip(pipeline, over: link)
        for reply in replies.prefix(required) {
            if let text = reply.errorText { throw try explain(text, link: link, connector: connector) }
        }
        if let text = replies[required].errorText {
            if Self.concernsConnection(text) { throw link.refusal(text) }
            // The far side may hang up after its refusal.
            var ping = RedisPipeline()
            ping.add("PING")
            _ = try connector.roundTrip(ping, over: link)
        }
        link.endLogin()
        return link
    }

    /// Explains a refusal by a sentinel, which knows no SELECT, and may want no password.
    private func explain(
        _ text: String, link: RedisLink, connector: RedisConnector
    ) throws(RedisError) -> RedisError {
        let refusal = link.refusal(text)
        let mayBeSentinel = RedisError.isUnknownCommand(text) || text.contains("without any password configured")
        guard mayBeSentinel, link.endpoint.peer == .redis else { return refusal }
        let sentinel = try SentinelPort.explain(link.endpoint) { pipeline throws(RedisError) in
            try connector.roundTrip(pipeline, over: link)
        }
        return sentinel ?? refusal
    }

    /// Returns true if an error reply to a command that may be refused concerns the connection as a whole. All other
    /// errors concern the command: proxies and hosters refuse it in words of their own.
    static func concernsConnection(_ text: String) -> Bool {
        switch text.prefix(while: { $0 != " " }) {
        case "NOAUTH", "WRONGPASS", "DENIED", "LOADING", "MASTERDOWN": return true
        case "NOPERM": return false
        default:
            let words = text.lowercased()
            return ["number of clients", "too many clients", "too many connections"].contains(where: words.contains)
        }
    }
}
