import Model
import Platform
import Text

/// Decides which results of pushes are logged: the first of each cause, and few of the others. A backend may word each answer
/// differently, so that words alone are no cause; but another fault may hide behind the same status.
struct PushCauses {
    /// The number of texts that are told of one cause, the time between two of them, and the time until the next so many.
    static let maxTexts = 3
    static let pause = Duration.seconds(60)
    static let longPause = Duration.seconds(3600)

    private struct Told {
        var texts: Set<String>
        var last: MonotonicTime
    }

    private var causes = CauseLog()
    private var told: [String: Told] = [:]

    /// Returns the number of causes that were held back before the line; nil for a line that is not to be logged.
    ///
    /// - Parameters:
    ///   - text: The words of the line. Those that differ in numbers only are the same.
    ///   - cause: The kind of the line, with what does not vary.
    mutating func take(_ text: String, of cause: String, at now: MonotonicTime) -> Int? {
        let text = AlikeText.make(text)
        if let (_, more) = causes.take(cause, at: now) {
            if told.count >= CauseLog.maxCauses { told = [:] }
            told[cause] = Told(texts: [text], last: now)
            return more
        }
        guard let known = told[cause], !known.texts.contains(text) else { return nil }
        let isFull = known.texts.count >= Self.maxTexts
        if now.duration(since: known.last) < (isFull ? Self.longPause : Self.pause) { return nil }
        told[cause] = Told(texts: isFull ? [text] : known.texts.union([text]), last: now)
        return 0
    }

    /// Records that pushes work again. Returns true if that is to be logged.
    mutating func recordEnd(at now: MonotonicTime) -> Bool { causes.recordEnd(at: now) }
}
