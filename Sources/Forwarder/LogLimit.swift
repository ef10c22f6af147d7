import Model

/// Lets a line that may come a thousand times a second through now and then.
struct LogLimit {
    let pauseNanoseconds: UInt64
    private var next = MonotonicTime(nanoseconds: 0)
    private var suppressed = 0

    init(pauseNanoseconds: UInt64) {
        self.pauseNanoseconds = pauseNanoseconds
    }

    /// How many lines were held back before this one; nil if it is held back, too.
    mutating func take(at now: MonotonicTime) -> Int? {
        if now < next {
            suppressed += 1
            return nil
        }
        next = now.advanced(byNanoseconds: pauseNanoseconds)
        defer { suppressed = 0 }
        return suppressed
    }
}
