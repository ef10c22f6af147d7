/// Exponential backoff with jitter: each pause is twice the one before, up to the longest.
package struct Backoff: Sendable {
    private let initialNanoseconds: UInt64
    private let maxNanoseconds: UInt64
    /// The largest part of a pause that the jitter takes off.
    private let jitterShare: Double
    package private(set) var failures = 0

    package init(initialNanoseconds: UInt64, maxNanoseconds: UInt64, jitterShare: Double = 0.5) {
        self.initialNanoseconds = initialNanoseconds
        self.maxNanoseconds = maxNanoseconds
        self.jitterShare = jitterShare
    }

    /// Returns the pause after one more failure, in nanoseconds. `jitter` is a random number in 0..<1.
    package mutating func fail(retryAfterSeconds: UInt64 = 0, slowly: Bool = false, jitter: Double) -> UInt64 {
        failures += 1
        if retryAfterSeconds > 0 { return Self.askedNanoseconds(retryAfterSeconds) }
        return pause(afterFailures: slowly ? .max : failures, jitter: jitter)
    }

    /// Returns the n-th pause: doubled each time up to the longest, then shortened by the jitter, so that a hundred sidecars
    /// that failed together don't come back together. Never longer than `maxNanoseconds`.
    package func pause(afterFailures count: Int, jitter: Double) -> UInt64 {
        var pause = min(initialNanoseconds, maxNanoseconds)
        for _ in 1..<max(2, min(count, 64)) where count > 1 && pause < maxNanoseconds {
            pause = pause > maxNanoseconds / 2 ? maxNanoseconds : pause * 2
        }
        return pause - UInt64(Double(pause) * jitterShare * jitter)
    }

    /// Returns what the backend asked for by `Retry-After`; an hour where it asked for more.
    package static func askedNanoseconds(_ retryAfterSeconds: UInt64) -> UInt64 {
        min(retryAfterSeconds, 3600) * 1_000_000_000
    }

    package mutating func succeed() {
        failures = 0
    }
}
