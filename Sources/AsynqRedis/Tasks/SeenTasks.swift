package import Model
import Synchronization

/// What has been seen of tasks in Redis, and may be gone from there when their spans come: since when each could have been
/// run, and what its message carries. Filled by the threads that read Redis, asked by those that take spans.
///
/// Bounded: beyond `capacity` the task that was noted first is forgotten. A task takes about 340 bytes, and what its
/// `tracestate` takes. It stays after it has left Redis, because its process span comes when it is done.
package final class SeenTasks: Sendable {
    package static let defaultCapacity = 100_000

    /// A seeded hash of queue and id, 128 bits: no text is kept, and nobody outside can make two tasks one.
    private struct Key: Hashable {
        let first: Int
        let second: Int

        init(_ queue: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer) {
            first = Self.hash(1, queue, id)
            second = Self.hash(2, queue, id)
        }

        init(_ queue: QueueName, _ id: [UInt8]) {
            self = queue.bytes.withUnsafeBytes { queue in id.withUnsafeBytes { Key(queue, $0) } }
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

    /// An attempt that was seen pending.
    private struct SeenAttempt {
        let ready: WallTime
        /// −1: not known.
        var retried: Int32 = -1
        var isUsed = false
        /// When it left the list of pending tasks; nil while it is there, as far as is known.
        var left: LookWindow?

        /// Whether it can be the one that began at `start`. Clocks of two machines may differ by a second.
        func mayHaveBegun(at start: WallTime) -> Bool {
            guard start.nanoseconds(since: ready) >= -1_000_000_000 else { return false }
            return left?.mayHold(start) ?? true
        }

        func agrees(with retryCount: Int32?) -> Bool {
            retried < 0 || retryCount.map { $0 == retried } ?? true
        }
    }

    private struct Entry {
        /// nil: it was not seen pending.
        var attempt: SeenAttempt?
        /// The one before, whose span may come after the task is pending again.
        var previous: SeenAttempt?
        var isMessageRead = false
        var message = CarriedMessage()
        /// The span has come that it was remembered for.
        var isSettled = false
        /// The first attempt that was told of the message. Ids come again (`asynq.TaskID`): the first attempt of a later task
        /// must not be told of this one.
        var toldTo: Asker?

        mutating func note(ready: WallTime?, _ task: StoredTask?) {
            if let ready {
                if attempt?.ready == ready {
                    // It was out of sight only.
                    attempt?.left = nil
                } else {
                    previous = attempt
                    // It can't be pending still.
                    if let old = attempt, old.left == nil { previous?.left = LookWindow(from: old.ready, to: ready) }
                    attempt = SeenAttempt(ready: ready)
                    isSettled = false
                }
            }
            guard let task else { return }
            // Of a task that runs or has failed, the count may be the next attempt's.
            if ready != nil { attempt?.retried = task.retried }
            isMessageRead = true
            message = CarriedMessage(
                context: task.context, enqueuedAt: task.enqueuedAt, processAt: task.processAt, retried: task.retried)
            toldTo = nil
        }

        /// A span has come that names it. Where the time of an attempt is known, only that one's span settles it.
        mutating func noteAsked() {
            if attempt == nil { isSettled = true }
        }

        /// The ready time of the attempt that began at `start`, if it was not given yet.
        mutating func take(retryCount: Int32?, start: WallTime) -> WallTime? {
            noteAsked()
            // Where both can be it, one that began before the other was pending is the earlier one.
            if let old = previous, old.mayHaveBegun(at: start), old.agrees(with: retryCount),
                attempt.map({ start < $0.ready || !$0.mayHaveBegun(at: start) }) ?? true
            {
                previous?.isUsed = true
                return old.isUsed ? nil : old.ready
            }
            guard let found = attempt, found.mayHaveBegun(at: start), found.agrees(with: retryCount) else { return nil }
            attempt?.isUsed = true
            isSettled = true
            return found.isUsed ? nil : found.ready
        }
    }

    private struct State {
        /// Where each entry lies. A dictionary of entries would take twice the room: it is half empty.
        private var places: [Key: Int32] = [:]
        /// In the order in which they were noted, as a ring.
        private var ring: [(key: Key, entry: Entry)] = []
        private var oldest = 0
        /// Spans ask for tasks. Without any, none misses what is forgotten.
        var isAsked = false
        var evicted: UInt64 = 0

        var count: Int { ring.count }

        /// Sets nothing where there is no entry.
        subscript(key: Key) -> Entry? {
            get { places[key].map { ring[Int($0)].entry } }
            set {
                if let newValue, let place = places[key] { ring[Int(place)].entry = newValue }
            }
        }

        /// A new one, in the place of the oldest where there is no room.
        mutating func add(_ key: Key, _ entry: Entry, capacity: Int) {
            if ring.count < capacity {
                places[key] = Int32(ring.count)
                ring.append((key, entry))
                return
            }
            if isAsked && !ring[oldest].entry.isSettled { evicted += 1 }
            places[ring[oldest].key] = nil
            places[key] = Int32(oldest)
            ring[oldest] = (key, entry)
            oldest = (oldest + 1) % capacity
        }
    }

    /// What is looked for in messages.
    let names: CarriedNames
    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int = defaultCapacity, keys: TaskContextKeys = TaskContextKeys()) {
        self.capacity = min(max(1, capacity), Int(Int32.max))
        names = CarriedNames(keys)
    }

    package var count: Int { state.withLock { $0.count } }
    /// Tasks that were forgotten for lack of room before their span came.
    package var evicted: UInt64 { state.withLock { $0.evicted } }

    /// - Parameters:
    ///   - ready: since when the task is pending; nil where it was seen in another state.
    ///   - task: nil where its message has not been read.
    func note(queue: QueueName, id: [UInt8], ready: WallTime?, task: StoredTask?) {
        let key = Key(queue, id)
        state.withLock { state in
            if state[key] != nil {
                state[key]?.note(ready: ready, task)
                return
            }
            var entry = Entry()
            entry.note(ready: ready, task)
            state.add(key, entry, capacity: capacity)
        }
    }

    /// The task has left the state that it was seen in: what comes under its id may be another one, whose message is to be
    /// read. Its span may still be to come.
    func noteLeft(queue: QueueName, _ ids: some Sequence<[UInt8]>) {
        state.withLock { state in
            for id in ids { state[Key(queue, id)]?.isMessageRead = false }
        }
    }

    /// Nothing is known of its message, and nothing will be: what is known of it already stays.
    func noteUnreadable(queue: QueueName, id: [UInt8]) {
        let key = Key(queue, id)
        let isKnown = state.withLock { state in
            state[key]?.isMessageRead = true
            return state[key] != nil
        }
        if !isKnown { note(queue: queue, id: id, ready: nil, task: StoredTask()) }
    }

    /// Those whose message has not been read yet.
    func unread(queue: QueueName, _ ids: [[UInt8]]) -> [[UInt8]] {
        state.withLock { state in ids.filter { state[Key(queue, $0)]?.isMessageRead != true } }
    }

    /// The task that was pending since `ready` is pending no more: it left within the window. What else comes under its id is
    /// another attempt, or another task.
    func noteGone(queue: QueueName, id: [UInt8], ready: WallTime, _ window: LookWindow) {
        let key = Key(queue, id)
        state.withLock { state in
            guard let attempt = state[key]?.attempt, attempt.ready == ready, attempt.left == nil else { return }
            state[key]?.attempt?.left = window
        }
    }

    /// Since when the attempt that began at `start` could have begun; nil where that was not seen. Each time is given once, and
    /// only to an attempt that began when the task left the list of pending ones: ids come again (`asynq.TaskID`), and a span may
    /// never come.
    ///
    /// - Parameter retryCount: of the attempt, where its span says it: then it has to be that of the stored task.
    package func takeReadyTime(
        queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, retryCount: Int32?, start: WallTime
    ) -> WallTime? {
        let key = Key(queue, id)
        return state.withLock { state in
            state.isAsked = true
            return state[key]?.take(retryCount: retryCount, start: start)
        }
    }

    /// What the task's message carries; nil where it was not read, or where another span's first attempt was told of it: then
    /// this is another task under the same id.
    package func message(queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, for asker: Asker) -> CarriedMessage?
    {
        let key = Key(queue, id)
        return state.withLock { state in
            state.isAsked = true
            state[key]?.noteAsked()
            guard let entry = state[key], entry.isMessageRead || entry.message != CarriedMessage() else { return nil }
            guard asker.isFirstAttempt else { return entry.message }
            if let told = entry.toldTo {
                guard told.isFollowed(by: asker) else { return nil }
                // Of several of one request the first one stays: a request that is sent again begins with it.
                if told.span != asker.span && !told.hasFailed { return entry.message }
            }
            state[key]?.toldTo = asker
            return entry.message
        }
    }
}

/// What a task's message carries for those that take spans.
package struct CarriedMessage: Sendable, Equatable {
    package var context: TraceContext?
    package var enqueuedAt: WallTime?
    package var processAt: WallTime?
    package var retried: Int32 = 0
}
