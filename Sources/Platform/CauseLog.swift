package import Model

/// Decides which lines are logged: one for each cause, also where causes take turns. What is logged stays within
/// bounds.
package struct CauseLog: Sendable {
    /// The number of causes that are remembered. Further ones wait until the oldest are a minute old.
    package static let maxCauses = 32
    /// The longest text. Texts of causes may quote what came from outside.
    package static let maxTextBytes = 400
    private static let pause = Duration.seconds(60)

    private var told: Set<String> = []
    /// The time at which the table was filled last. No cause leaves it before a pause has passed.
    private var since = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0
    /// True if a cause was logged and its end was not.
    private var isOpen = false
    private var ended: MonotonicTime?

    package init() {}

    /// Returns the text of a line, cut, and the number of causes that did not fit into the table before it; nil for a
    /// line that is not to be logged.
    package mutating func take(_ cause: String, at now: MonotonicTime) -> (text: String, more: Int)? {
        if let ended, now.duration(since: ended) >= Self.pause { self = CauseLog() }
        ended = nil
        let text = ForeignText(cause).cut(to: Self.maxTextBytes).text
        if told.contains(text) { return nil }
        if told.count >= Self.maxCauses {
            if now.duration(since: since) < Self.pause {
                suppressed += 1
                return nil
            }
            told = []
        }
        if told.isEmpty { since = now }
        told.insert(text)
        isOpen = true
        defer { suppressed = 0 }
        return (text, suppressed)
    }

    /// Records that it works again. Returns true if that is to be logged: trouble that returns within a minute is the
    /// same trouble.
    package mutating func recordEnd(at now: MonotonicTime) -> Bool {
        if ended == nil { ended = now }
        defer { isOpen = false }
        return isOpen
    }
}
