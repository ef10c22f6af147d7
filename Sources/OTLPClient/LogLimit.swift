package import Model
import Text

/// Limits a line that may come a thousand times a second to one now and then.
package struct LogLimit {
    private let pause: Duration
    private var next = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0

    package init(pause: Duration) {
        self.pause = pause
    }

    /// Returns true if the pause has been over for `time`.
    fileprivate func isIdle(for time: Duration = .zero, at now: MonotonicTime) -> Bool {
        now >= next.advanced(by: time)
    }

    /// Returns the number of lines that were held back before this one; nil if it is held back, too.
    package mutating func take(at now: MonotonicTime) -> Int? {
        if now < next {
            suppressed += 1
            return nil
        }
        next = now.advanced(by: pause)
        defer { suppressed = 0 }
        return suppressed
    }
}

/// Limits lines by what they are about: one of each cause and text now and then, so that none hides another.
///
/// A cause is the kind of a line with what does not vary. A few texts of it have a limit of their own, and the others share
/// one: words that differ each time stay few lines.
package struct LogLimits {
    /// The number of causes with limits of their own. Further ones share one, until the pauses of another are over.
    static let maxCauses = 32
    /// The number of texts of a cause with a limit of their own.
    static let maxTexts = 3
    /// The time behind its pause after which a text makes place for another.
    private static let idleTime = Duration.seconds(60)

    private struct Cause {
        var texts: [String: LogLimit] = [:]
        var others: LogLimit

        func isIdle(at now: MonotonicTime) -> Bool {
            others.isIdle(at: now) && texts.values.allSatisfy { $0.isIdle(at: now) }
        }

        mutating func take(_ text: String, pause: Duration, at now: MonotonicTime) -> Int? {
            if texts[text] == nil && texts.count >= maxTexts {
                texts = texts.filter { !$0.value.isIdle(for: idleTime, at: now) }
                if texts.count >= maxTexts { return others.take(at: now) }
            }
            return texts[text, default: LogLimit(pause: pause)].take(at: now)
        }
    }

    private let pause: Duration
    private var causes: [String: Cause] = [:]
    private var others: LogLimit

    package init(pause: Duration) {
        self.pause = pause
        others = LogLimit(pause: pause)
    }

    /// Returns the number of lines about the same that were held back before this one; nil if it is held back, too.
    ///
    /// - Parameters:
    ///   - cause: The kind of the line, with what does not vary.
    ///   - text: Its words, where they may vary. Those that differ in numbers only are the same.
    package mutating func take(_ cause: String, text: String = "", at now: MonotonicTime) -> Int? {
        if causes[cause] == nil && causes.count >= Self.maxCauses {
            causes = causes.filter { !$0.value.isIdle(at: now) }
            if causes.count >= Self.maxCauses { return others.take(at: now) }
        }
        return causes[cause, default: Cause(others: LogLimit(pause: pause))]
            .take(AlikeText.make(text), pause: pause, at: now)
    }
}
