package import Model
import Platform

/// Why Redis can't be asked, or what it refused.
package struct RedisError: Error, CustomStringConvertible, Sendable {
    package let reason: ScrapeErrorReason
    /// What was tried, where, and Redis' or the system's own words.
    package let message: String

    package init(_ reason: ScrapeErrorReason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    init(_ system: SystemError) {
        self.init(.connection, system.description)
    }

    /// An error reply, such as `NOPERM this user has no permissions to run the 'llen' command`.
    init(reply: String) {
        let (reason, hint) = Self.meaning(ofReply: reply)
        self.init(reason, "Redis: " + reply + (hint.map { " (\($0))" } ?? ""))
    }

    /// The same about one queue's key; what concerns all of them alike stays one message.
    init(reply: String, queue: QueueName) {
        let error = RedisError(reply: reply)
        let isOwn = error.reason == .wrongType || error.reason == .server
        self = isOwn ? RedisError(error.reason, "queue \(queue.text): \(error.message)") : error
    }

    package var description: String { message }

    /// Whether it is the server's state, and not the command or its key, that stands in the way.
    var concernsAllCommands: Bool {
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
        case "NOPERM": (.permission, "the ACL of redis.username lacks a command or a key; docs/REDIS.md has the line")
        case "LOADING": (.loading, "it answers once its data is in memory")
        case "MASTERDOWN": (.masterDown, "a replica without its master, and replica-serve-stale-data is off")
        case "READONLY": (.readOnly, "a replica was asked to write; nothing here writes, so look for a proxy")
        case "OOM": (.outOfMemory, "Redis has reached maxmemory")
        case "BUSY": (.busy, "a script or function blocks Redis")
        case "CLUSTERDOWN", "TRYAGAIN": (.clusterDown, "some slots have no node")
        case "MOVED", "ASK": (.server, "this Redis is part of a Cluster; set redis.url to redis-cluster://")
        case "ERR" where reply.hasSuffix("cluster support disabled"): (.server, "set redis.url to redis://, or rediss:// for TLS")
        case "WRONGTYPE": (.wrongType, nil)
        default: (.server, nil)
        }
    }
}
