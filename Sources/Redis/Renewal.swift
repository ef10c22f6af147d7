import Model

/// Decides when a connection that has reached its greatest age is made anew, after failures to do so.
struct Renewal {
    static let pause = Duration.seconds(10)

    /// The reason why the last try failed.
    private(set) var failure: RedisError?
    private var nextTry = MonotonicTime(nanoseconds: 0)

    func isDue(at now: MonotonicTime) -> Bool { now >= nextTry }

    mutating func recordFailure(_ error: RedisError, at now: MonotonicTime) {
        failure = error
        nextTry = now.advanced(by: Self.pause)
    }
}
