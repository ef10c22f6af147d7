import Testing
@testable import Forwarder

@Suite("Backoff")
struct BackoffTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("Pauses double from the first to the longest")
    func growth() {
        var backoff = Backoff(initialNanoseconds: Self.second, maxNanoseconds: 30 * Self.second)
        let pauses = (0..<8).map { _ in backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5) / Self.second }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
        #expect(backoff.failures == 8)
    }

    @Test("A success starts over")
    func success() {
        var backoff = Backoff(initialNanoseconds: Self.second, maxNanoseconds: 30 * Self.second)
        for _ in 0..<5 { _ = backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5) }
        backoff.succeed()
        #expect(backoff.failures == 0)
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5) == Self.second)
    }

    @Test("Jitter moves a pause by at most a quarter, both ways", arguments: 1...10)
    func jitter(failures: Int) {
        var backoff = Backoff(initialNanoseconds: Self.second, maxNanoseconds: 30 * Self.second)
        for _ in 1..<failures { _ = backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0) }
        var copies = [backoff, backoff, backoff]
        let low = copies[0].fail(retryAfterSeconds: 0, slowly: false, jitter: 0)
        let middle = copies[1].fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5)
        let high = copies[2].fail(retryAfterSeconds: 0, slowly: false, jitter: 0.999)
        #expect(low == middle / 4 * 3)
        #expect(high > middle && high <= middle / 4 * 5)
    }

    @Test("A slow failure waits the longest pause at once")
    func slowly() {
        var backoff = Backoff(initialNanoseconds: Self.second, maxNanoseconds: 30 * Self.second)
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: true, jitter: 0.5) == 30 * Self.second)
    }

    @Test("Retry-After wins, exactly, up to an hour")
    func retryAfter() {
        var backoff = Backoff(initialNanoseconds: Self.second, maxNanoseconds: 30 * Self.second)
        #expect(backoff.fail(retryAfterSeconds: 5, slowly: true, jitter: 0.9) == 5 * Self.second)
        #expect(backoff.fail(retryAfterSeconds: 3600, slowly: false, jitter: 0) == 3600 * Self.second)
        #expect(backoff.fail(retryAfterSeconds: 3601, slowly: false, jitter: 0) == 3600 * Self.second)
        #expect(backoff.fail(retryAfterSeconds: .max, slowly: false, jitter: 0) == 3600 * Self.second)
    }

    @Test("The largest times that a configuration can name, and years of failures, overflow nothing")
    func extremes() {
        let longest: UInt64 = 9_000_000_000_000_000_000
        var backoff = Backoff(initialNanoseconds: longest - 1, maxNanoseconds: longest)
        for _ in 0..<100 { #expect(backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.99) > 0) }
        var small = Backoff(initialNanoseconds: 1, maxNanoseconds: longest)
        var last: UInt64 = 0
        for _ in 0..<100 {
            let pause = small.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5)
            #expect(pause >= last)
            last = pause
        }
    }
}
