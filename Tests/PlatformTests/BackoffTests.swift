import Platform
import Testing

@Suite("Backoff")
struct BackoffTests {
    private static let second = Duration.seconds(1)

    @Test("Pauses double from the first to the longest")
    func growth() {
        var backoff = Backoff(initial: Self.second, max: Self.second * 30)
        let pauses = (0..<8).map { _ in backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0) / Self.second }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
        #expect(backoff.failures == 8)
    }

    @Test("A success starts over")
    func success() {
        var backoff = Backoff(initial: Self.second, max: Self.second * 30)
        for _ in 0..<5 { _ = backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.5) }
        backoff.succeed()
        #expect(backoff.failures == 0)
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0) == Self.second)
    }

    @Test("Jitter shortens a pause by up to a half, and never makes it longer", arguments: 1...10)
    func jitter(failures: Int) {
        let backoff = Backoff(initial: Self.second, max: Self.second * 30)
        let longest = backoff.pause(afterFailures: failures, jitter: 0)
        let middle = backoff.pause(afterFailures: failures, jitter: 0.5)
        let shortest = backoff.pause(afterFailures: failures, jitter: 1.0.nextDown)
        #expect(longest <= Self.second * 30)
        #expect(middle == longest / 4 * 3)
        #expect(shortest >= longest / 2 && shortest < middle)
    }

    @Test("A smaller share of jitter keeps more of the pause")
    func jitterShare() {
        let backoff = Backoff(initial: Self.second, max: Self.second, jitterShare: 0.1)
        #expect(backoff.pause(afterFailures: 1, jitter: 0.5) == Self.second / 100 * 95)
    }

    @Test("A slow failure waits the longest pause at once")
    func slowly() {
        var backoff = Backoff(initial: Self.second, max: Self.second * 30)
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: true, jitter: 0) == Self.second * 30)
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: true, jitter: 0.5) < Self.second * 30)
    }

    @Test("Retry-After wins, exactly, up to an hour")
    func retryAfter() {
        var backoff = Backoff(initial: Self.second, max: Self.second * 30)
        #expect(backoff.fail(retryAfterSeconds: 5, slowly: true, jitter: 0.9) == Self.second * 5)
        #expect(backoff.fail(retryAfterSeconds: 3600, slowly: false, jitter: 0) == Self.second * 3600)
        #expect(backoff.fail(retryAfterSeconds: 3601, slowly: false, jitter: 0) == Self.second * 3600)
        #expect(backoff.fail(retryAfterSeconds: .max, slowly: false, jitter: 0) == Self.second * 3600)
    }

    @Test("The largest times that a configuration can name, and years of failures, overflow nothing")
    func extremes() {
        let longest = Duration.nanoseconds(9_000_000_000_000_000_000)
        var backoff = Backoff(initial: longest - .nanoseconds(1), max: longest)
        for _ in 0..<100 { #expect(backoff.fail(retryAfterSeconds: 0, slowly: false, jitter: 0.99) > .zero) }
        #expect(backoff.fail(retryAfterSeconds: 0, slowly: true, jitter: 0) == longest)
        var small = Backoff(initial: .nanoseconds(1), max: longest)
        var last = Duration.zero
        for _ in 0..<100 {
            let pause = small.fail(retryAfterSeconds: 0, slowly: false, jitter: 0)
            #expect(pause >= last)
            last = pause
        }
    }
}
