package import Model
import Platform

/// Decides when to connect again after failures: at first soon, then less and less often, never exactly in step with
/// others.
package struct ReconnectBackoff {
    private static let initial = Duration.milliseconds(250)
    private var backoff: Backoff
    package private(set) var nextAttempt = MonotonicTime(nanoseconds: 0)

    package init(max: Duration) {
        backoff = Backoff(initial: Self.initial, max: max, jitterShare: 0.1)
    }

    package mutating func recordFailure(at now: MonotonicTime) {
        nextAttempt = now.advanced(by: backoff.fail(jitter: Double.random(in: 0..<1)))
    }

    package mutating func recordSuccess() {
        backoff.succeed()
        nextAttempt = MonotonicTime(nanoseconds: 0)
    }
}
