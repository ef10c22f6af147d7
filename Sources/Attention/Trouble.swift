package import Model
import Text

/// Something that needs attention.
package struct Trouble: Sendable, Equatable {
    package let condition: Condition
    /// The queue; nil where the trouble is not about one.
    package let queue: QueueName?
    package let severity: Severity
    /// True if it has lasted as long as the alert asks for.
    package let isFiring: Bool
    package let sentence: String
    package let since: WallTime

    /// A cause that keeps several queues from being read lies in Redis.
    package var subject: Subject { condition.subject == .queue && queue == nil ? .redis : condition.subject }

    /// True if it concerns everything, and not one queue or cron entry.
    package var isGlobal: Bool {
        switch subject {
        case .queue: false
        case .cron: condition == .cronUnreadable
        case .redis, .tempo, .spool, .server, .collector: true
        }
    }

    /// Returns true if the left one is worse. Redis that can't be read comes first, since it makes all else old. Of
    /// equally bad ones those that concern everything come first, then those that fire, then it goes by condition, then by
    /// age.
    static func isWorse(_ left: Trouble, _ right: Trouble) -> Bool {
        let isRedisAway = (left.condition == .redisUnreachable, right.condition == .redisUnreachable)
        if isRedisAway.0 != isRedisAway.1 { return isRedisAway.0 }
        if left.severity != right.severity { return left.severity > right.severity }
        if left.isGlobal != right.isGlobal { return left.isGlobal }
        if left.isFiring != right.isFiring { return left.isFiring }
        let (first, second) = (left.condition.place, right.condition.place)
        if first != second { return first < second }
        if left.since != right.since { return left.since < right.since }
        return (left.queue ?? ForeignText("")) < (right.queue ?? ForeignText(""))
    }
}

extension Condition {
    private static let places = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })

    fileprivate var place: Int { Self.places[self] ?? 0 }
}

extension ForeignText {
    private static let maxShownScalars = 120

    /// The text for a sentence: on one line, without characters that change a terminal or the direction of text.
    var shown: String { SafeText.oneLine(printable, maxScalars: Self.maxShownScalars) }

    /// The name of a queue for a sentence. What can't be seen is escaped, so that other names look otherwise.
    var shownName: String { VisibleText.name(printable, maxScalars: Self.maxShownScalars) }

    private static let maxProblemScalars = 400

    /// The reason why something can't be read, for a sentence: a key, and the words of Redis.
    var shownProblem: String { SafeText.oneLine(printable, maxScalars: Self.maxProblemScalars) }
}
