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
    package init(reply: String) {
        let (reason, hint) = Self.meaning(ofReply: reply)
        self.init(reason, "Redis: " + reply + (hint.map { " (\($0))" } ?? ""))
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
    private static func meaning(ofReply reply: String) -> (ScrapeErrorReason, hint: String?) {
        switch reply.prefix(while: { $0 != " " }) {
        case "NOAUTH": (.authentication, "set redis.password, and redis.username for an ACL user")
        case "WRONGPASS": (.authentication, "check redis.username and redis.password")
        case "NOPERM" where reply.contains("'asking'"):
            (
                .permission,
                "a slot is on its way to another node: for a Cluster, add +asking to the ACL of redis.username"
            )
        case "NOPERM": (.permission, "the ACL of redis.username lacks a command or a key; docs/REDIS.md has the line")
        case "LOADING": (.loading, "it answers once its data is in memory")
        case "MASTERDOWN": (.masterDown, "a replica without its master, and replica-serve-stale-data is off")
        case "READONLY": (.readOnly, "a replica was asked to write; nothing here writes, so look for a proxy")
        case "OOM": (.outOfMemory, "Redis has reached maxmemory")
        case "BUSY": (.busy, "a script or function blocks Redis")
        case "CLUSTERDOWN", "TRYAGAIN": (.clusterDown, "some slots have no node")
        case "MOVED", "ASK": (.server, "this Redis is part of a Cluster; set redis.url to redis-cluster://")
        case "ERR" where reply.hasSuffix("cluster support disabled"):
            (.server, "set redis.url to redis://, or rediss:// for TLS")
        case "ERR" where reply.hasPrefix("ERR max number of clients"):
            (.server, "raise maxclients, or look with CLIENT LIST for who holds the connections")
        case "DENIED": (.server, "give Redis a password, or connect from its own machine")
        case "WRONGTYPE": (.wrongType, nil)
        default: (.server, nil)
        }
    }
}
