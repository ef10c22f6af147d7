package import Model

/// Limits a line that may come a thousand times a second to one now and then.
package struct LogLimit {
    private let pause: Duration
    private var next = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0

    package init(pause: Duration) {
        self.pause = pause
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
