import CLinux
import Glibc
package import Model

/// Lets one thread sleep until a deadline or until another thread wakes it. It is an eventfd, so that it can also be
/// polled together with a socket.
package final class Waker: Sendable {
    package let descriptor: Int32

    /// Makes an eventfd.
    /// - Throws: `SystemError` where the process has no descriptor left.
    package init() throws(SystemError) {
        descriptor = collector_eventfd()
        if descriptor < 0 { throw SystemError("eventfd") }
    }

    deinit {
        close(descriptor)
    }

    /// Ends the current sleep, or the next one if no thread sleeps. Async-signal-safe.
    package func wake() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)  // EAGAIN means that 2^64-2 wake-ups are pending already.
    }

    /// Sleeps until `deadline` (nil: without end) or until another thread wakes it. Returns true when woken.
    @discardableResult
    package func sleep(until deadline: MonotonicTime?, clock: Clock) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let timeout = deadline.map { $0.milliseconds(from: clock.monotonic()) } ?? -1
        let ready = poll(&entry, 1, timeout)
        return ready > 0 && drain()
    }

    /// Clears pending wake-ups. Returns true if there was one.
    @discardableResult
    package func drain() -> Bool {
        var count: UInt64 = 0
        return read(descriptor, &count, 8) == 8
    }
}
