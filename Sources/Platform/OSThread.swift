import CLinux
import Glibc
package import Model
import Synchronization

/// A thread of the operating system for work that blocks (Redis, libcurl, fdatasync). Blocking C never runs on Swift's
/// cooperative pool: with one or two cores it would starve everything else.
///
/// Guard of the `@unchecked Sendable`: `handle` is written once, in `init`. The owner joins from one thread at a time, and
/// once, as `joined` says.
package final class OSThread: @unchecked Sendable {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private var handle = pthread_t()
    private let joined = Atomic<Bool>(false)

    /// Starts the thread. `name` is cut to the kernel's 15 bytes. All signals are blocked in it: the main thread waits
    /// for them.
    /// - Throws: `SystemError` where the system can't start another thread.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
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
                return nil
            }, start.toOpaque())
        if code != 0 {
            start.release()
            throw SystemError("starting thread \(name)", code: code)
        }
    }

    /// Waits until the body has returned, or until the deadline on the system's monotonic clock; after that the thread
    /// goes on by itself.
    package func join(until deadline: MonotonicTime) {
        if joined.load(ordering: .acquiring) { return }
        if collector_join_thread(handle, deadline.nanoseconds) { joined.store(true, ordering: .releasing) }
    }

    /// Waits until the body has returned. A second call returns at once.
    package func join() {
        if joined.exchange(true, ordering: .acquiringAndReleasing) { return }
        pthread_join(handle, nil)
    }
}
