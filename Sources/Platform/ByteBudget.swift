import Synchronization

/// A budget of bytes that several holders hold together.
package final class ByteBudget: Sendable, Equatable {
    private let most: Atomic<Int>
    private let held = Atomic<Int>(0)

    package init(_ most: Int) {
        self.most = Atomic(most)
    }

    package static func == (left: ByteBudget, right: ByteBudget) -> Bool { left === right }

    package var heldBytes: Int { held.load(ordering: .relaxed) }

    package var limitBytes: Int { most.load(ordering: .relaxed) }

    /// The number of bytes that can still be held.
    package var spareBytes: Int { max(0, most.load(ordering: .relaxed) - heldBytes) }

    /// Sets the limit from now on.
    package func use(_ most: Int) {
        self.most.store(most, ordering: .relaxed)
    }

    /// Holds bytes and returns true, or returns false where the limit leaves too few.
    package func hold(_ count: Int) -> Bool {
        if held.add(count, ordering: .relaxed).newValue <= most.load(ordering: .relaxed) { return true }
        held.subtract(count, ordering: .relaxed)
        return false
    }

    /// Does what `hold` does, but always holds the bytes of a single holder, whatever their size.
    package func holdOneAtLeast(_ count: Int) -> Bool {
        let total = held.add(count, ordering: .relaxed).newValue
        if total <= most.load(ordering: .relaxed) || total == count { return true }
        held.subtract(count, ordering: .relaxed)
        return false
    }

    package func release(_ count: Int) {
        held.subtract(count, ordering: .relaxed)
    }
}
