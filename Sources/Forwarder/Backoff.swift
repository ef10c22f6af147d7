/// Exponential backoff with jitter, for the destination as a whole: after a failure nothing is sent until the pause is
/// over, then one request probes, and the first success opens the gate again.
struct Backoff {
    let initialNanoseconds: UInt64
    let maxNanoseconds: UInt64
    private(set) var failures = 0

    /// The pause after one more failure, in nanoseconds. `jitter` is a random number in 0..<1.
    mutating func fail(retryAfterSeconds: UInt64, slowly: Bool, jitter: Double) -> UInt64 {
        failures += 1
        if retryAfterSeconds > 0 { return Self.askedNanoseconds(retryAfterSeconds) }
        return pause(afterFailures: slowly ? .max : failures, jitter: jitter)
    }

    /// The n-th pause: doubled each time up to the longest, then shortened by up to a half, so that a hundred sidecars
    /// that failed together don't come back together. Never longer than `maxNanoseconds`.
    func pause(afterFailures count: Int, jitter: Double) -> UInt64 {
        var pause = min(initialNanoseconds, maxNanoseconds)
        for _ in 1..<max(2, min(count, 64)) where count > 1 && pause < maxNanoseconds {
            pause = pause > maxNanoseconds / 2 ? maxNanoseconds : pause * 2
        }
        return pause - UInt64(Double(pause / 2) * jitter)
    }

    /// What the backend asked for by `Retry-After`. One that asks for more than an hour is asked again after one.
    static func askedNanoseconds(_ retryAfterSeconds: UInt64) -> UInt64 {
        min(retryAfterSeconds, 3600) * 1_000_000_000
    }

    mutating func succeed() {
        failures = 0
    }
}
