import Model
import Platform
import Synchronization
import Testing

@Suite("Waker, clock and threads")
struct WakerTests {
    private let stopped = Clock(
        wall: { WallTime(nanoseconds: 0) }, monotonic: { MonotonicTime(nanoseconds: 5_000_000) })

    @Test("a wake-up before the sleep ends it at once, and several count as one")
    func wokenBefore() throws {
        let waker = try Waker()
        waker.wake()
        waker.wake()
        #expect(waker.sleep(until: nil, clock: stopped))
        #expect(!waker.drain())
    }

    @Test("a sleep until now or before ends without a wake-up")
    func passedDeadline() throws {
        let waker = try Waker()
        #expect(!waker.sleep(until: MonotonicTime(nanoseconds: 5_000_000), clock: stopped))
        #expect(!waker.sleep(until: MonotonicTime(nanoseconds: 0), clock: stopped))
    }

    @Test("pending wake-ups can be forgotten")
    func drains() throws {
        let waker = try Waker()
        #expect(!waker.drain())
        waker.wake()
        #expect(waker.drain())
        #expect(!waker.drain())
    }

    @Test("a thread that sleeps for ever is woken from another one")
    func wakesAThread() throws {
        let waker = try Waker()
        let wasWoken = Atomic<Bool>(false)
        try withThread {
            wasWoken.store(waker.sleep(until: nil, clock: .system), ordering: .releasing)
        } during: {
            waker.wake()
        }
        let result = wasWoken.load(ordering: .acquiring)
        #expect(result)
    }

    private func withThread(_ body: @escaping @Sendable () -> Void, during: () -> Void) throws {
        let thread = try OSThread(name: "a name of more than fifteen bytes", body)
        during()
        thread.join()
        thread.join()
    }

    @Test("a time until a deadline is rounded up to whole milliseconds")
    func milliseconds() {
        let now = MonotonicTime(nanoseconds: 1000)
        func milliseconds(_ nanoseconds: UInt64) -> Int32 {
            MonotonicTime(nanoseconds: nanoseconds).milliseconds(from: now)
        }
        #expect(milliseconds(0) == 0)
        #expect(milliseconds(1000) == 0)
        #expect(milliseconds(1001) == 1)
        #expect(milliseconds(1_001_000) == 1)
        #expect(milliseconds(1_001_001) == 2)
    }

    @Test("a deadline that never comes is the longest poll, not an overflow")
    func farDeadline() {
        let never = MonotonicTime(nanoseconds: 0).advanced(byNanoseconds: .max)
        #expect(never.milliseconds(from: MonotonicTime(nanoseconds: 0)) == .max)
    }

    @Test("the system's clocks do not run backwards")
    func clocks() {
        let earlier = Clock.system.monotonic()
        #expect(Clock.system.monotonic() >= earlier)
        #expect(Clock.system.wall().wholeSeconds > 1_700_000_000)
    }
}
