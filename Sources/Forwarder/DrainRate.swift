import Model

/// How fast a backlog is sent (`tempo.drain.max-spans-per-second`), so that a backend that is just back on its feet is not
/// run over: after each batch so many spans' time has to pass.
struct DrainRate {
    /// A batch of the backlog holds no more, unless a single request does.
    let spansPerSecond: Int
    /// From when on a batch may be read. What was not used in the past is not made up for.
    private(set) var opens = MonotonicTime(nanoseconds: 0)

    init(spansPerSecond: Int) {
        self.spansPerSecond = spansPerSecond
    }

    mutating func note(read spans: Int, at now: MonotonicTime) {
        let nanoseconds = Double(spans) / Double(spansPerSecond) * 1e9
        opens = max(opens, now).advanced(byNanoseconds: UInt64(min(nanoseconds, 3600e9)))
    }
}
