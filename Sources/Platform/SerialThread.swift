package import Model
import Synchronization

/// Does its work on a thread of its own, one piece after the other.
package final class SerialThread: Sendable {
    /// The bound that the thread promises for one piece of work, and for the way to it.
    package static let longestWork = Duration.seconds(10)

    private struct State {
        var waiting = FIFO<@Sendable () -> Void>()
        var isEnding = false
    }

    private let name: String
    private let clock: Clock
    private let state = Mutex(State())
    private let work = Semaphore()
    private let thread = Mutex<OSThread?>(nil)
    package let heartbeat = Heartbeat()

    package init(name: String, clock: Clock) {
        self.name = name
        self.clock = clock
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        let started = try OSThread(name: name) { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Takes no further work, and waits until the rest is done, or until the deadline.
    package func stop(until deadline: MonotonicTime) {
        state.withLock { $0.isEnding = true }
        work.post()
        thread.withLock { $0 }?.join(until: deadline)
    }

    /// Adds a piece of work. Returns false where the thread is ending: then the work is not done.
    package func run(_ body: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            if state.isEnding { return false }
            state.waiting.append(body)
            heartbeat.promiseIfResting(by: promise)
            return true
        }
        if isTaken { work.post() }
        return isTaken
    }

    private func run() {
        while true {
            work.wait()
            // With no work left, the end woke the thread.
            guard let body = state.withLock({ $0.waiting.popFirst() }) else { return }
            heartbeat.promise(by: promise)
            body()
            state.withLock { heartbeat.promise(by: $0.waiting.isEmpty ? nil : promise) }
        }
    }

    private var promise: MonotonicTime { clock.monotonic().advanced(by: Self.longestWork) }
}
