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
        self.init(Self.reason(ofReply: reply), "Redis: " + reply)
    }

    package var description: String { message }

    private static func reason(ofReply reply: String) -> ScrapeErrorReason {
        switch reply.prefix(while: { $0 != " " }) {
        case "NOAUTH", "WRONGPASS": .authentication
        case "NOPERM": .permission
        case "LOADING", "MASTERDOWN": .loading
        case "WRONGTYPE": .wrongType
        default: .server
        }
    }
}
