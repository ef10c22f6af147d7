import Glibc
import Model
import Platform
import Synchronization
import Testing

@Suite("Threads that do one thing after the other")
struct SerialThreadTests {
    private static let now = MonotonicTime(nanoseconds: 7_000_000_000)
    private static let clock = Clock(wall: { WallTime(nanoseconds: 0) }, monotonic: { now })
    /// On the system's clock, by which a thread is waited for.
    private static var later: MonotonicTime { Clock.system.monotonic().advanced(by: .seconds(60)) }

    @Test("What was given is done in its order, also before the end; what comes then is refused")
    func order() throws {
        let thread = SerialThread(name: "serial", clock: Self.clock)
        let done = Mutex<[Int]>([])
        func isTaken(_ number: Int) -> Bool { thread.run { done.withLock { $0.append(number) } } }
        for number in 0..<50 { #expect(isTaken(number)) }
        try thread.start()
        for number in 50..<100 { #expect(isTaken(number)) }
        thread.stop(until: Self.later)
        #expect(done.withLock { $0 } == Array(0..<100))
        #expect(!isTaken(-1))
        #expect(done.withLock { $0.count } == 100)
    }

    @Test("While it works it promises to be done in ten seconds; without work it promises nothing")
    func heartbeat() throws {
        let thread = SerialThread(name: "serial", clock: Self.clock)
        let seen = Mutex<[Bool]>([])
        let heartbeat = thread.heartbeat
        _ = thread.run {
            let due = Self.now.advanced(by: .seconds(10))
            seen.withLock {
                $0 = [
                    heartbeat.isResting, heartbeat.isOverdue(at: due),
                    heartbeat.isOverdue(at: due.advanced(byNanoseconds: 1)),
                ]
            }
        }
        try thread.start()
        thread.stop(until: Self.later)
        #expect(seen.withLock { $0 } == [false, false, true])
        #expect(heartbeat.isResting)
    }

    @Test("A thread has the first fifteen bytes of its name, and no signals")
    func nameAndSignals() throws {
        let name = Mutex("")
        let areBlocked = Mutex(false)
        let thread = try OSThread(name: "a name of more than fifteen bytes") {
            let found = (try? Files.read("/proc/thread-self/comm")) ?? []
            name.withLock { $0 = String(decoding: found, as: UTF8.self) }
            var signals = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &signals)
            let blocked = [SIGTERM, SIGINT, SIGHUP, SIGUSR1].allSatisfy { sigismember(&signals, $0) == 1 }
            areBlocked.withLock { $0 = blocked }
        }
        thread.join(until: Self.later)
        thread.join()
        #expect(name.withLock { $0 } == "a name of more \n")
        #expect(areBlocked.withLock { $0 })
    }

    @Test("A semaphore that was posted first lets as many waits pass")
    func semaphore() {
        let semaphore = Semaphore()
        for _ in 0..<3 { semaphore.post() }
        for _ in 0..<3 { semaphore.wait() }
    }

    @Test(
        "An attempt is made once without patience, and once more for each pause that it covers",
        arguments: [(-1, 1), (0, 1), (199, 1), (200, 2), (1000, 6)])
    func patience(microseconds: Int, attempts: Int) {
        var count = 0
        let result: Int? = Patience.attempt(for: .microseconds(microseconds)) {
            count += 1
            return nil
        }
        #expect(result == nil && count == attempts)
    }

    @Test("The first attempt that gives something is the last")
    func patienceRewarded() {
        var count = 0
        let result: Int? = Patience.attempt(for: .milliseconds(2)) {
            count += 1
            return count == 3 ? count : nil
        }
        #expect(result == 3 && count == 3)
    }
}
