import Model
import Platform
import TestSupport
import Testing

@Suite("A thread's promise to be heard of again")
struct HeartbeatTests {
    private static func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test("It is broken once its moment and the grace are over; waiting for work promises nothing")
    func overdue() {
        let heartbeat = Heartbeat()
        #expect(heartbeat.isResting && !heartbeat.isOverdue(at: Self.time(1_000_000)))
        heartbeat.promise(by: Self.time(10))
        #expect(!heartbeat.isResting && !heartbeat.isOverdue(at: Self.time(10)))
        #expect(heartbeat.isOverdue(at: Self.time(11)))
        #expect(!heartbeat.isOverdue(at: Self.time(13), grace: .seconds(3)))
        #expect(heartbeat.isOverdue(at: Self.time(14), grace: .seconds(3)))
        heartbeat.promise(by: nil)
        #expect(!heartbeat.isOverdue(at: Self.time(1_000_000)))
    }

    @Test("Work that is given to a thread is a promise, whether or not the thread gets to it")
    func work() throws {
        let clock = TestClock()
        let thread = SerialThread(name: "test", clock: clock.clock)
        #expect(thread.heartbeat.isResting)
        let isDone = Semaphore()
        for _ in 0..<2 { #expect(thread.run { isDone.post() }) }
        clock.advance(seconds: 10)
        #expect(!thread.heartbeat.isOverdue(at: clock.clock.monotonic()))
        clock.advance(seconds: 1)
        #expect(thread.heartbeat.isOverdue(at: clock.clock.monotonic()))
        try thread.start()
        for _ in 0..<2 { isDone.wait() }
        thread.stop(until: MonotonicTime(nanoseconds: .max))
        #expect(thread.heartbeat.isResting)
    }
}
