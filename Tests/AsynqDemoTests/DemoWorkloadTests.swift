import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import AsynqDemo

/// A clock that moves on by itself: each reading takes as long as a slow machine needs for a step.
private final class SlowClock: Sendable {
    private let readings = Mutex<UInt64>(0)
    private let start = Clock.system.monotonic()

    var clock: Clock {
        Clock(
            wall: { WallTime(seconds: 1_800_000_000) },
            monotonic: {
                self.readings.withLock { readings in
                    readings += 1
                    return self.start.advanced(byNanoseconds: readings * 20_000_000)
                }
            })
    }
}

@Suite struct DemoWorkloadTests {
    private func workload(_ socket: String, _ clock: Clock) throws -> DemoWorkload {
        try DemoWorkload(
            redisSocket: socket, spanSocket: "/no/such/socket", bearerToken: nil, tasksPerSecond: 25, setBackend: nil,
            clock: clock)
    }

    @Test func aRedisThatIsSlowToLetItInIsWaitedFor() throws {
        let server = try ScriptedServer(["+OK\r\n"], closesAtEnd: true)
        let workload = try workload(server.socket, SlowClock().clock)
        try workload.start()
        workload.stop()
        // Whether a tick came before the end or not, it was let in.
        let reason = workload.failureReason
        #expect(reason == nil || reason?.contains("closed the connection") == true, "\(reason as Any)")
    }

    @Test func aTickIsShorterThanAnyTaskSoThatRunTimesAreTheirOwn() {
        let shortest = DemoTaskKind.all.map(\.meanSeconds).min() ?? 0
        #expect(DemoWorkload.tickInterval > .zero && DemoWorkload.tickInterval < .seconds(shortest / 2))
    }

    @Test func withoutARedisItEndsAndSaysWhy() throws {
        let workload = try workload("/no/such/redis", .system)
        try workload.start()
        workload.stop()
        #expect(workload.failureReason?.contains("/no/such/redis") == true)
        #expect(workload.lostSpans == 0 && workload.takeLines().isEmpty)
    }
}
