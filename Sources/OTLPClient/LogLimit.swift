package import Model

/// Limits a line that may come a thousand times a second to one now and then.
package struct LogLimit {
    private let pause: Duration
    private var next = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0

    package init(pause: Duration) {
        self.pause = pause
    }

    /// Returns true if the next line is not held back.
    func isPauseOver(at now: MonotonicTime) -> Bool { now >= next }

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

/// Limits lines by what they are about: one of each cause now and then, so that none hides another.
package struct LogLimits {
    /// The number of causes with a limit of their own. Further ones share one, until a pause of another is over.
    static let maxCauses = 32
    private let pause: Duration
    private var limits: [String: LogLimit] = [:]
    private var others: LogLimit

    package init(pause: Duration) {
        self.pause = pause
        others = LogLimit(pause: pause)
    }

    /// Returns the number of lines about `cause` that were held back before this one; nil if it is held back, too.
    package mutating func take(_ cause: String, at now: MonotonicTime) -> Int? {
        if limits[cause] == nil && limits.count >= Self.maxCauses {
            limits = limits.filter { !$0.value.isPauseOver(at: now) }
            if limits.count >= Self.maxCauses { return others.take(at: now) }
        }
        return limits[cause, default: LogLimit(pause: pause)].take(at: now)
    }
}
