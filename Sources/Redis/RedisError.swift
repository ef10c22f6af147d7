import Glibc
package import Model
import Platform

/// The reason why Redis can't be asked, or the command that it refused.
package struct RedisError: Error, CustomStringConvertible, Sendable {
    package let reason: ScrapeErrorReason
    /// The action, its place, and Redis' or the system's own words.
    package let message: String
    /// The kind of disconnect, where the far side ended the connection.
    private(set) var disconnect: Disconnect?

    enum Disconnect {
        case fresh
        /// The far side hung up before anything was answered, over a connection that had been good before. It lay idle
        /// for too long, or Redis was started anew; another connection may succeed.
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

    mutating func markStale() {
        if disconnect != nil { disconnect = .stale }
    }

    /// Makes an error of an error reply, such as `NOPERM this user has no permissions to run the 'llen' command`.
    ///
    /// - Parameter address: The address of the far side, where it has to be named.
    package init(reply: String, from peer: RedisPeer = .redis, at address: String? = nil) {
        let (reason, hint) = Self.meaning(ofReply: reply, peer)
        let name = address.map { "\(peer.name) at \($0)" } ?? peer.name
        self.init(reason, name + ": " + reply + (hint.map { " (\($0))" } ?? ""))
    }

    /// Returns the same error with more words.
    func adding(_ hint: String) -> RedisError {
        var error = RedisError(reason, message + "; " + hint)
        error.disconnect = disconnect
        return error
    }

    package var description: String { message }

    /// True if the server's state is the reason, and not the command or its key.
    package var concernsAllCommands: Bool {
        switch reason {
        case .authentication, .loading, .masterDown, .busy, .clusterDown: true
        default: false
        }
    }

    /// Returns the meaning of an error reply's first word, and what to do about it.
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

/// The kind of server that a connection leads to, as messages name it.
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
