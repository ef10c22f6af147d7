import Model
import Testing

@testable import WaitTime

@Suite("The slowest waits")
struct SlowestWaitsTests {
    private static let second: UInt64 = 1_000_000_000

    private func wait(_ seconds: Double, at time: UInt64) -> SlowWait {
        SlowWait(
            seconds: seconds, queue: QueueName("q"), type: nil, span: nil,
            observedAt: MonotonicTime(nanoseconds: time * Self.second))
    }

    @Test("The longest are kept, in their order, and leave after a quarter of an hour")
    func keeps() {
        var slowest = SlowestWaits()
        for number in 0..<30 where slowest.hasPlace(Double(number * 7 % 30), at: MonotonicTime(nanoseconds: 0)) {
            slowest.record(wait(Double(number * 7 % 30), at: 0))
        }
        let start = MonotonicTime(nanoseconds: 0)
        #expect(slowest.list(at: start).map(\.seconds) == (20..<30).reversed().map { Double($0) })
        #expect(!slowest.hasPlace(20, at: start) && slowest.hasPlace(20.5, at: start))
        let later = MonotonicTime(nanoseconds: 901 * Self.second)
        #expect(slowest.list(at: later).isEmpty && slowest.hasPlace(0, at: later))
        slowest.record(wait(1, at: 901))
        #expect(slowest.list(at: later).map(\.seconds) == [1])
    }
}
