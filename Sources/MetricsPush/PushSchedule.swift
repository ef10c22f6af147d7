import Model

/// Decides when the next push is due. A push is a snapshot: one that failed is not repeated, because the next one is complete.
struct PushSchedule {
    /// The pause before the first push, short so that a mistake of configuration is seen at once; Redis has been read
    /// by then.
    private static let firstPause = Duration.seconds(5)

    private let interval: Duration
    private(set) var next: MonotonicTime
    /// The time that the backend asked for by `Retry-After`.
    private var notBefore = MonotonicTime(nanoseconds: 0)

    init(interval: Duration, start: MonotonicTime) {
        self.interval = interval
        next = start.advanced(by: min(interval, Self.firstPause))
    }

    /// Plans the push after the one that was due. If that took longer than the interval, it is due at once, and those
    /// that were missed are left out.
    mutating func advance(at now: MonotonicTime) {
        next = max(next.advanced(by: interval), now, notBefore)
    }

    /// Sends nothing before the pause that the backend asked for is over.
    mutating func pause(_ pause: Duration, at now: MonotonicTime) {
        notBefore = max(notBefore, now.advanced(by: pause))
    }

    /// Returns the time at which the last push may be sent, at the end of the process; nil where that is too late.
    func last(at now: MonotonicTime, deadline: MonotonicTime) -> MonotonicTime? {
        let moment = max(now, notBefore)
        return moment < deadline ? moment : nil
    }
}
