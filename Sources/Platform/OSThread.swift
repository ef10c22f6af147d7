import CLinux
import Glibc
package import Model
import Synchronization

/// A thread of the operating system for work that blocks (Redis, libcurl, fdatasync). Blocking C never runs on Swift's
/// cooperative pool: with one or two cores it would starve everything else.
///
/// Guard of the `@unchecked Sendable`: `handle` is written once in `init` and taken once under `joined`.
package final class OSThread: @unchecked Sendable {
    /// Shared by the thread and its owner, whichever lives longer.
    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        func set() { value.store(true, ordering: .releasing) }
        var isSet: Bool { value.load(ordering: .acquiring) }
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        let isDone: Flag
        init(name: String, body: @escaping @Sendable () -> Void, isDone: Flag) {
            self.name = name
            self.body = body
            self.isDone = isDone
        }
    }

    private var handle = pthread_t()
    private let joined = Atomic<Bool>(false)
    private let isDone: Flag

    /// Starts the thread. `name` is cut to the kernel's 15 bytes. All signals are blocked in it: the main thread
    /// waits for them.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let flag = Flag()
        isDone = flag
        let start = Unmanaged.passRetained(Start(name: name, body: body, isDone: flag))
        let code = pthread_create(
            &handle, nil,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                collector_name_thread(start.name)
                start.body()
                start.isDone.set()
                return nil
            }, start.toOpaque())
        if code != 0 {
            start.release()
            throw SystemError("starting thread \(name)", code: code)
        }
    }

    /// Waits until the body has returned, or until the deadline; then the thread is left to itself.
    package func join(until deadline: MonotonicTime, clock: Clock) {
        while !isDone.isSet && clock.monotonic() < deadline { usleep(2000) }
        if isDone.isSet { join() }
    }

    /// Waits until the body has returned. A second call returns at once.
    package func join() {
        if joined.exchange(true, ordering: .acquiringAndReleasing) { return }
        pthread_join(handle, nil)
    }
}
