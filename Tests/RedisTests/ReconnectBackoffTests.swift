import Model
import Testing

@testable import Redis

@Suite("Pauses between attempts to connect")
struct ReconnectBackoffTests {
    private static let now = MonotonicTime(nanoseconds: 1_000_000_000_000)

    /// Milliseconds until the next attempt, after each of so many failures.
    private static func pauses(_ failures: Int, _ backoff: inout ReconnectBackoff) -> [UInt64] {
        (0..<failures).map { _ in
            backoff.recordFailure(at: now)
            return backoff.nextAttempt.nanoseconds(since: now) / 1_000_000
        }
    }

    @Test("A quarter of a second at first, then twice as long each time, up to the maximum, and a tenth less at most")
    func growth() {
        var backoff = ReconnectBackoff(max: .seconds(2))
        #expect(backoff.nextAttempt.nanoseconds == 0)
        for (pause, most) in zip(Self.pauses(100, &backoff), [250, 500, 1000] + Array(repeating: 2000, count: 97)) {
            #expect((UInt64(most) * 9 / 10...UInt64(most)).contains(pause), "\(pause) of \(most)")
        }
    }

    @Test("After a success they begin anew, at once")
    func success() {
        var backoff = ReconnectBackoff(max: .seconds(5))
        _ = Self.pauses(4, &backoff)
        backoff.recordSuccess()
        #expect(backoff.nextAttempt.nanoseconds == 0)
        #expect(Self.pauses(1, &backoff)[0] <= 250)
    }
}
