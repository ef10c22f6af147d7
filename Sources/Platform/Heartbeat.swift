package import Model
import Synchronization

/// A thread's promise to be heard of again by a moment; who watches the thread asks whether it was kept.
package final class Heartbeat: Sendable {
    private let due = Atomic<UInt64>(.max)

    package init() {}

    /// Called by the thread that is watched; nil: it waits for work, for as long as there is none.
    package func promise(by moment: MonotonicTime?) {
        due.store(moment?.nanoseconds ?? .max, ordering: .releasing)
    }

    /// Whether nothing is promised.
    package var isResting: Bool { due.load(ordering: .acquiring) == .max }

    /// Whether the promise was broken by more than `grace`.
    package func isOverdue(at now: MonotonicTime, grace: Duration = .zero) -> Bool {
        now > MonotonicTime(nanoseconds: due.load(ordering: .acquiring)).advanced(by: grace)
    }
}
