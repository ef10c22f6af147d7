import Model
import Platform
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
}
