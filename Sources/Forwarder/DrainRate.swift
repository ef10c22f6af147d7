import Model

/// The rate at which a backlog is sent (`tempo.drain.max-spans-per-second`), so that a backend that has just recovered
/// is not overrun. After each batch the time of its spans has to pass.
struct DrainRate {
    /// The spans per second. A batch of the backlog holds no more, unless a single request does.
    let spansPerSecond: Int
    /// The time from which a batch may be read. What was not used in the past is not made up for.
    private(set) var opens = MonotonicTime(nanoseconds: 0)

    init(spansPerSecond: Int) {
        self.spansPerSecond = spansPerSecond
    }

    mutating func recordRead(_ spans: Int, at now: MonotonicTime) {
        let nanoseconds = Double(spans) / Double(spansPerSecond) * 1e9
        opens = max(opens, now).advanced(byNanoseconds: UInt64(min(nanoseconds, 3600e9)))
    }
}
