package import Model

/// The present knowledge of Redis.
package enum RedisReading: Sendable {
    /// The setting `redis.url` is `none`.
    case off
    /// Redis could not be read; the reason, or nil before the first attempt has ended.
    case unread(String?)
    case read(RedisSnapshot)

    package var snapshot: RedisSnapshot? {
        if case .read(let snapshot) = self { snapshot } else { nil }
    }

    package var isRead: Bool { snapshot != nil }

    /// A sentence that says why there is no snapshot; nil when there is one, or when Redis is switched off.
    package var unreadReason: String? {
        guard case .unread(let reason) = self else { return nil }
        return reason.map { "Redis can't be read: \($0)" } ?? "Redis was not read yet"
    }
}
