package import Model
import Synchronization

/// A thread's promise to be heard of again by a moment. The watcher of the thread asks whether the promise was kept.
package final class Heartbeat: Sendable {
    private let due = Atomic<UInt64>(.max)

    package init() {}

    /// Sets the moment, from the thread that is watched. nil says that it waits for work, for as long as none comes.
    package func promise(by moment: MonotonicTime?) {
        due.store(moment?.nanoseconds ?? .max, ordering: .releasing)
    }

    /// Makes the promise for a thread that may be waiting for work, on the thread that gives it work. A promise that
    /// stands already is kept.
    package func promiseIfResting(by moment: MonotonicTime) {
        _ = due.compareExchange(expected: .max, desired: moment.nanoseconds, ordering: .acquiringAndReleasing)
    }

    /// True if the thread has promised nothing.
    package var isResting: Bool { due.load(ordering: .acquiring) == .max }

    /// Returns true if the promise was broken by more than `grace`.
    package func isOverdue(at now: MonotonicTime, grace: Duration = .zero) -> Bool {
        now > MonotonicTime(nanoseconds: due.load(ordering: .acquiring)).advanced(by: grace)
    }
}
