import Glibc
package import Model
import Platform

/// Why Redis can't be asked, or what it refused.
package struct RedisError: Error, CustomStringConvertible, Sendable {
    package let reason: ScrapeErrorReason
    /// What was tried, where, and Redis' or the system's own words.
    package let message: String
    /// Where it was the far side's end of the connection.
    private(set) var disconnect: Disconnect?

    enum Disconnect {
        case fresh
        /// Before anything was answered, over a connection that had been good before: it lay idle for too long, or Redis
        /// was started anew. Another connection may do.
        case stale
    }

    package init(_ reason: ScrapeErrorReason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    init(_ system: SystemError) {
        self.init(.connection, system.description)
        if [ECONNRESET, EPIPE].contains(system.code) { disconnect = .fresh }
    }

    init(disconnect message: String) {
        self.init(.connection, message)
        disconnect = .fresh
    }

    mutating func noteStale() {
        if disconnect != nil { disconnect = .stale }
    }

    /// An error reply, such as `NOPERM this user has no permissions to run the 'llen' command`.
    ///
    /// - Parameter address: of the far side, where it is to be named.
    package init(reply: String, from peer: RedisPeer = .redis, at address: String? = nil) {
        let (reason, hint) = Self.meaning(ofReply: reply, peer)
        let name = address.map { "\(peer.name) at \($0)" } ?? peer.name
        self.init(reason, name + ": " + reply + (hint.map { " (\($0))" } ?? ""))
    }

    /// The same error with more words.
    func adding(_ hint: String) -> RedisError {
        var error = RedisError(reason, message + "; " + hint)
        error.disconnect = disconnect
        return error
    }

    package var description: String { message }

    /// Whether it is the server's state, and not the command or its key, that stands in the way.
    package var concernsAllCommands: Bool {
        switch reason {
        case .authentication, .loading, .masterDown, .busy, .clusterDown: true
        default: false
        }
    }

    /// What the first word of an error reply says, and what to do about it.
    private static func meaning(ofReply reply: String, _ peer: RedisPeer) -> (ScrapeErrorReason, hint: String?) {
        switch reply.prefix(while: { $0 != " " }) {
        case "NOAUTH": (.authentication, "set \(peer.passwordKey), and \(peer.usernameKey) for an ACL user")
        case "WRONGPASS": (.authentication, "check \(peer.usernameKey) and \(peer.passwordKey)")
        case "ERR" where reply.contains("without any password configured"),
            "ERR" where reply.contains("no password is set"):
            (.authentication, "no password is wanted there: take \(peer.passwordKey) out")
        case "NOPERM" where reply.contains("'asking'"):
            (
                .permission,
                "a slot is on its way to another node: for a Cluster, add +asking to the ACL of redis.username"
            )
        case "NOPERM":
            (.permission, "the ACL of \(peer.usernameKey) lacks a command or a key; docs/REDIS.md has the line")
        case "LOADING": (.loading, "it answers once its data is in memory")
        case "MASTERDOWN": (.masterDown, "a replica without its master, and replica-serve-stale-data is off")
        case "READONLY": (.readOnly, "a replica was asked to write; nothing here writes, so look for a proxy")
        case "OOM": (.outOfMemory, "Redis has reached maxmemory")
        case "BUSY": (.busy, "a script or function blocks Redis")
        case "CLUSTERDOWN", "TRYAGAIN": (.clusterDown, "some slots have no node")
        case "MOVED", "ASK": (.server, "this Redis is part of a Cluster; set redis.url to redis-cluster://")
        case "ERR" where reply.hasSuffix("cluster support disabled"):
            (.server, "set redis.url to redis://, or rediss:// for TLS")
        case "ERR" where reply.contains("DB index"):
            (.server, "redis.url names a database that it does not have; they are counted from 0")
        case "ERR" where reply.contains("SELECT is not allowed in cluster mode"):
            (.server, "a Cluster has database 0 only; set redis.url to redis-cluster://")
        case "ERR" where reply.hasPrefix("ERR max number of clients"):
            (.server, "raise maxclients, or look with CLIENT LIST for who holds the connections")
        case "DENIED": (.server, "give Redis a password, or connect from its own machine")
        case "WRONGTYPE": (.wrongType, nil)
        default: (.server, nil)
        }
    }
}

/// What kind of server a connection leads to, as messages name it.
package enum RedisPeer: Sendable, Equatable {
    case redis
    case sentinel

    var name: String {
        switch self {
        case .redis: "Redis"
        case .sentinel: "sentinel"
        }
    }

    /// The setting that names the ACL user.
    var usernameKey: String {
        switch self {
        case .redis: "redis.username"
        case .sentinel: "redis.sentinel-username"
        }
    }

    var passwordKey: String {
        switch self {
        case .redis: "redis.password"
        case .sentinel: "redis.sentinel-password"
        }
    }
}
