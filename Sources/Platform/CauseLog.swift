package import Model

/// Lets a line through once for each cause, also where causes take turns, and keeps what is logged within bounds.
package struct CauseLog: Sendable {
    /// Further causes wait until the oldest ones are a minute old.
    package static let maxCauses = 32
    /// Texts of causes may quote what came from outside.
    package static let maxTextBytes = 400
    private static let pause = Duration.seconds(60)

    private var told: Set<String> = []
    /// When the table was filled last; until a pause later nothing is forgotten.
    private var since = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0
    /// A cause was told of, and its end was not.
    private var isOpen = false
    private var ended: MonotonicTime?

    package init() {}

    /// Returns the text of a line, cut, and how many causes found no room before it; nil where it is not to be logged.
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

    /// It works again. Returns whether that is to be logged. What comes back within a minute is the same trouble.
    package mutating func recordEnd(at now: MonotonicTime) -> Bool {
        if ended == nil { ended = now }
        defer { isOpen = false }
        return isOpen
    }
}
