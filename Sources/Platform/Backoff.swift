import Model

/// Exponential backoff with jitter: each pause is twice the one before, up to the longest.
package struct Backoff: Sendable {
    private let initialPause: Duration
    private let maxPause: Duration
    /// The largest part of a pause that the jitter takes off.
    private let jitterShare: Double
    package private(set) var failures = 0

    package init(initial: Duration, max: Duration, jitterShare: Double = 0.5) {
        initialPause = initial
        maxPause = max
        self.jitterShare = jitterShare
    }

    /// Returns the pause after one more failure. `jitter` is a random number in 0..<1.
    package mutating func fail(retryAfterSeconds: UInt64 = 0, slowly: Bool = false, jitter: Double) -> Duration {
        failures += 1
        if retryAfterSeconds > 0 { return Self.askedPause(retryAfterSeconds) }
        return pause(afterFailures: slowly ? .max : failures, jitter: jitter)
    }

    /// Returns the n-th pause: doubled each time up to the longest, then shortened by the jitter. A hundred sidecars
    /// that failed together thus don't come back together. Never longer than `maxPause`.
    package func pause(afterFailures count: Int, jitter: Double) -> Duration {
        var pause = min(initialPause, maxPause)
        for _ in 1..<max(2, min(count, 64)) where count > 1 && pause < maxPause { pause = min(pause * 2, maxPause) }
        return pause - .nanoseconds(Int64(Double(pause.wholeNanoseconds) * jitterShare * jitter))
    }

    /// Returns the pause that the backend asked for by `Retry-After`, an hour at most.
    package static func askedPause(_ retryAfterSeconds: UInt64) -> Duration {
        .seconds(min(retryAfterSeconds, 3600))
    }

    package mutating func succeed() {
        failures = 0
    }
}
