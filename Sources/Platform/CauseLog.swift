package import Model
import Text

/// Decides which lines are logged: the first of each cause, few of the others, and one when it works again. What is logged
/// stays within bounds.
///
/// A source may word each failure differently, so that words alone do not make a cause; but another fault may hide behind
/// the same cause. The last line always says what holds now: trouble that returns within a minute of its end is held back
/// until that minute is over, and is then logged again.
///
///     state     what comes                      line
///     quiet     a failure                       that of its cause → told
///     told      a known cause                   none
///               other words of a known cause    one a minute, three an hour
///               the end                         "it works again" → ended
///     ended     a known cause                   none within a minute; then every cause is new → told
///               another cause, other words      as in told → told
package struct CauseLog: Sendable {
    /// The number of causes that are remembered. Further ones wait until the oldest are a minute old.
    package static let maxCauses = 32
    /// The longest text. Texts of causes may quote what came from outside.
    package static let maxTextBytes = 400
    /// The number of texts that are logged of one cause within `longPause`.
    package static let maxTexts = 3
    private static let longPause = Duration.seconds(3600)
    private static let pause = Duration.seconds(60)

    private struct Told {
        var texts: Set<String>
        var last: MonotonicTime
    }

    private enum State {
        case quiet
        /// A failure was logged, and its end was not.
        case told
        case ended(at: MonotonicTime)
    }

    private var told: [String: Told] = [:]
    /// The time at which the table was filled last. No cause leaves it before a pause has passed.
    private var since = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0
    private var state = State.quiet

    package init() {}

    /// Returns the text of a line, cut, and the number of causes that did not fit into the table before it; nil for a
    /// line that is not to be logged.
    ///
    /// - Parameter words: The line. The program's own words, up to the first colon and blank, say what failed and where, and count as they are.
    ///   What the far side says stands behind them: there, words that differ in numbers only are the same cause.
    package mutating func take(_ words: String, at now: MonotonicTime) -> (text: String, more: Int)? {
        let text = ForeignText(words).cut(to: Self.maxTextBytes).text
        let foreign = text.endOfFirst(": ") ?? text.endIndex
        return take(text, of: text[..<foreign] + AlikeText.make(String(text[foreign...])), at: now).map { (text, $0) }
    }

    /// Returns the number of causes that did not fit into the table before the line; nil for a line that is not to be
    /// logged.
    ///
    /// - Parameters:
    ///   - text: The words of the line. Those that differ in numbers only are the same.
    ///   - cause: The kind of the line, with what does not vary.
    package mutating func take(_ text: String, of cause: String, at now: MonotonicTime) -> Int? {
        if case .ended(let moment) = state, now.duration(since: moment) >= Self.pause { self = CauseLog() }
        let text = AlikeText.make(text)
        let line =
            if let known = told[cause] {
                recordText(text, of: cause, known, at: now)
            } else {
                recordCause(cause, text, at: now)
            }
        guard let more = line else { return nil }
        state = .told
        return more
    }

    /// Records words of a known cause. Returns nil if they are not to be logged.
    private mutating func recordText(_ text: String, of cause: String, _ known: Told, at now: MonotonicTime) -> Int? {
        if known.texts.contains(text) { return nil }
        let isFull = known.texts.count >= Self.maxTexts
        if now.duration(since: known.last) < (isFull ? Self.longPause : Self.pause) { return nil }
        told[cause] = Told(texts: isFull ? [text] : known.texts.union([text]), last: now)
        return 0
    }

    /// Records a cause that the table does not have. Returns nil if it does not fit.
    private mutating func recordCause(_ cause: String, _ text: String, at now: MonotonicTime) -> Int? {
        if told.count >= Self.maxCauses {
            if now.duration(since: since) < Self.pause {
                suppressed += 1
                return nil
            }
            told = [:]
        }
        if told.isEmpty { since = now }
        told[cause] = Told(texts: [text], last: now)
        defer { suppressed = 0 }
        return suppressed
    }

    /// Records that it works again. Returns true if that is to be logged.
    package mutating func recordEnd(at now: MonotonicTime) -> Bool {
        guard case .told = state else { return false }
        state = .ended(at: now)
        return true
    }
}

extension String {
    /// Returns the place behind the first occurrence of a text; nil where it has none.
    fileprivate func endOfFirst(_ part: String) -> Index? {
        indices.first { self[$0...].hasPrefix(part) }.map { index($0, offsetBy: part.count) }
    }
}
