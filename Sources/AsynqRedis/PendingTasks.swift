package import Model
import Synchronization

/// What the look-ahead has seen of tasks while they were pending: since when each could have been run, and the trace
/// context that it carries. Filled by the Redis thread, asked by those that take spans.
///
/// Bounded: beyond `capacity` the task that was noted first is forgotten. A task takes about 150 bytes, and what its
/// `tracestate` takes. It stays after it has left the list, because its process span comes when it is done.
package final class PendingTasks: Sendable {
    package static let defaultCapacity = 100_000

    /// A seeded hash of queue and id, 128 bits: no text is kept, and nobody outside can make two tasks one.
    private struct Key: Hashable {
        let first: Int
        let second: Int

        init(_ queue: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer) {
            first = Self.hash(1, queue, id)
            second = Self.hash(2, queue, id)
        }

        private static func hash(_ salt: UInt8, _ queue: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer) -> Int {
            var hasher = Hasher()
            hasher.combine(salt)
            hasher.combine(queue.count)
            hasher.combine(bytes: queue)
            hasher.combine(bytes: id)
            return hasher.finalize()
        }
    }

    private struct Entry {
        var ready: WallTime
        /// Of the attempt before, whose span may come after the task is pending again.
        var previous: WallTime?
        /// −1: not known.
        var retried: Int32
        var previousRetried: Int32 = -1
        var isUsed = false
        var context: TraceContext?
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// The keys in the order in which they were noted, as a ring.
        var order: [Key] = []
        var oldest = 0
        var evicted: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int = defaultCapacity) {
        self.capacity = max(1, capacity)
    }

    package var count: Int { state.withLock { $0.entries.count } }
    /// Tasks that were forgotten for lack of room.
    package var evicted: UInt64 { state.withLock { $0.evicted } }

    /// A task is pending since `ready`. `task` is nil where its message has not been read.
    func note(queue: QueueName, id: [UInt8], ready: WallTime, task: StoredTask?) {
        let key = queue.bytes.withUnsafeBytes { queue in id.withUnsafeBytes { Key(queue, $0) } }
        state.withLock { state in
            if var entry = state.entries[key] {
                if ready != entry.ready {
                    entry.previous = entry.isUsed ? nil : entry.ready
                    entry.previousRetried = entry.retried
                    entry.ready = ready
                    entry.isUsed = false
                    entry.retried = -1
                }
                if let task { entry.retried = task.retried }
                entry.context = task?.context ?? entry.context
                state.entries[key] = entry
                return
            }
            if state.order.count < capacity {
                state.order.append(key)
            } else {
                state.entries[state.order[state.oldest]] = nil
                state.order[state.oldest] = key
                state.oldest = (state.oldest + 1) % capacity
                state.evicted += 1
            }
            state.entries[key] = Entry(ready: ready, retried: task?.retried ?? -1, context: task?.context)
        }
    }

    /// Since when the attempt that began at `start` could have begun; nil where that was not seen. Each time is given
    /// once: an attempt that was not seen pending must not get that of the one before.
    ///
    /// - Parameter retryCount: of the attempt, where its span says it: then it has to be that of the stored task.
    package func takeReadyTime(
        queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, retryCount: Int32?, start: WallTime
    ) -> WallTime? {
        let key = Key(queue, id)
        // Clocks of two machines.
        let latest = WallTime(nanoseconds: start.nanoseconds.addingReportingOverflow(1_000_000_000).partialValue)
        return state.withLock { state in
            guard let entry = state.entries[key] else { return nil }
            if entry.ready > latest {
                guard let previous = entry.previous, previous <= latest,
                    Self.agree(retryCount, entry.previousRetried)
                else { return nil }
                state.entries[key]?.previous = nil
                return previous
            }
            if entry.isUsed { return nil }
            if !Self.agree(retryCount, entry.retried) { return nil }
            state.entries[key]?.isUsed = true
            return entry.ready
        }
    }

    private static func agree(_ retryCount: Int32?, _ retried: Int32) -> Bool {
        retried < 0 || retryCount.map { $0 == retried } ?? true
    }

    package func context(queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) -> TraceContext? {
        let key = Key(queue, id)
        return state.withLock { $0.entries[key]?.context }
    }
}
