package import Model

/// Says when to try again after failures: at first soon, then less and less often, never exactly in step with others.
package struct ReconnectBackoff {
    private static let initialNanoseconds: UInt64 = 250_000_000
    private let maxNanoseconds: UInt64
    private var failures: UInt64 = 0
    package private(set) var nextAttempt = MonotonicTime(nanoseconds: 0)

    package init(maxNanoseconds: UInt64) {
        self.maxNanoseconds = maxNanoseconds
    }

    package mutating func noteFailure(at now: MonotonicTime) {
        let pause = min(Self.initialNanoseconds << min(failures, 16), maxNanoseconds)
        failures += 1
        nextAttempt = now.advanced(byNanoseconds: UInt64.random(in: pause * 9 / 10...pause))
    }

    package mutating func noteSuccess() {
        failures = 0
        nextAttempt = MonotonicTime(nanoseconds: 0)
    }
}
