package import Model
import Synchronization

/// The facts about tasks that were seen in Redis: since when each could have been run, and what its message carries.
/// The tasks may be gone from there when their spans come. The threads that read Redis fill it, the receiver asks it.
///
/// It is bounded in bytes: when it is full, the task that was recorded first is forgotten. A task takes `bytesPerTask`,
/// and the bytes of its `tracestate`, for which there is a quarter of the limit. It stays after it has left Redis,
/// because its process span comes when it is done.
///
/// A request asks once for all of its spans (`look`), and says once which of the answers it has used (`use`).
package final class SeenTasks: Sendable {
    package static let defaultBytes = 36 << 20
    private static let maxCount = 100_000
    /// The bytes of its place in the ring, and in a dictionary that is half empty.
    static let bytesPerTask = MemoryLayout<(key: Key, entry: Entry)>.stride + 48

    /// A seeded hash of queue and id, 128 bits: no text is kept, and no sender can make two tasks one.
    fileprivate struct Key: Hashable {
        let first: Int
        let second: Int

        init(_ queue: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer) {
            first = Self.hash(1, queue: queue, id: id)
            second = Self.hash(2, queue: queue, id: id)
        }

        init(_ queue: QueueName, _ id: [UInt8]) {
            self = queue.bytes.withUnsafeBytes { queue in id.withUnsafeBytes { Key(queue, $0) } }
        }

        private static func hash(_ salt: UInt8, queue: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) -> Int {
            var hasher = Hasher()
            hasher.combine(salt)
            hasher.combine(queue.count)
            hasher.combine(bytes: queue)
            hasher.combine(bytes: id)
            return hasher.finalize()
        }
    }

    fileprivate struct Entry {
        var attempts = SeenAttempts()
        var message = SeenMessage()
        private var start: SeenStart?
        /// True once a span has come that names the task.
        var isAsked = false

        /// True once the span has come that it was remembered for: where the time of an attempt is known, only that
        /// attempt's.
        var isSettled: Bool { attempts.isLatestUsed ?? isAsked }

        /// The bytes of its `tracestate`.
        var stateBytes: Int {
            guard let state = message.carried.context?.traceState, !state.isEmpty else { return 0 }
            return state.count + 48
        }

        mutating func record(ready: WallTime?, _ task: StoredTask?) {
            if let ready { attempts.recordPending(since: ready) }
            guard let task else { return }
            // The count of a task that runs or has failed may be the next attempt's.
            if ready != nil { attempts.recordRetried(task.retried) }
            message.record(task, pendingSince: ready)
        }

        /// Records that a worker had begun the task that the message is of, by then at the latest. The earliest such
        /// time stays.
        mutating func recordStarted(by time: WallTime) {
            guard message.isRead, let stamp = message.carried.enqueuedAt else { return }
            if start.map({ !Stamp.agree($0.stamp, stamp) }) ?? true { start = SeenStart(stamp: stamp, by: time) }
        }

        /// Returns true if the task of a span had been begun before. `stamp` is the time of enqueueing, as the span
        /// says; else its message says it, where the span was told of it.
        func wasStarted(before span: TaskSpan, enqueuedAt stamp: WallTime?) -> Bool {
            guard span.startNanoseconds > 0 else { return false }
            let isSame = stamp.flatMap { stamp in message.carried.enqueuedAt.map { Stamp.agree($0, stamp) } } ?? false
            let told = isSame ? message.carried : stamp == nil ? span.knowledge.message : nil
            // Asynq keeps the second of the failure: an attempt that began after it had not failed then.
            if let failed = told?.lastFailedAt, span.start.duration(since: failed) >= .seconds(1) { return true }
            guard let start, let stamp = stamp ?? told?.enqueuedAt else { return false }
            return Stamp.agree(start.stamp, stamp) && span.start.duration(since: start.by) > .seconds(1)
        }
    }

    /// An enqueueing that a worker had begun, and when at the latest.
    private struct SeenStart {
        let stamp: WallTime
        let by: WallTime
    }

    fileprivate struct State {
        /// The place of each entry. A dictionary of entries would take twice the bytes: it is half empty.
        private var places: [Key: Int32] = [:]
        /// A ring: `count` entries, from `oldest` on, in the order in which they were recorded.
        private var ring: [(key: Key, entry: Entry)] = []
        private var oldest = 0
        private(set) var count = 0
        /// The bytes that the entries' `tracestate` take together.
        private(set) var stateBytes = 0
        /// The number of looks so far. Before the first, no span misses what is forgotten.
        var looks: UInt64 = 0
        var evicted: UInt64 = 0

        /// The bytes that all of it takes.
        var bytes: Int { ring.capacity * SeenTasks.bytesPerTask + stateBytes }

        func place(of key: Key) -> Int? { places[key].map { Int($0) } }

        subscript(place: Int) -> Entry {
            get { ring[place].entry }
            _modify { yield &ring[place].entry }
        }

        /// Returns the place of a task, which is a new one for an unknown task: the oldest leaves when all are taken.
        mutating func makePlace(for key: Key, capacity: Int) -> Int {
            if let place = place(of: key) { return place }
            if count == capacity { forgetOldest() }
            let place = (oldest + count) % capacity
            if place == ring.count {
                if ring.count == ring.capacity { ring.reserveCapacity(min(max(16, 2 * ring.count), capacity)) }
                ring.append((key, Entry()))
            } else {
                ring[place] = (key, Entry())
            }
            places[key] = Int32(place)
            count += 1
            return place
        }

        /// Changes the entry of a task; others leave if its `tracestate` does not fit beside theirs.
        mutating func update(_ key: Key, within bounds: Bounds, change: (inout Entry) -> Void) {
            let place = makePlace(for: key, capacity: bounds.count)
            let before = ring[place].entry.stateBytes
            change(&ring[place].entry)
            stateBytes += ring[place].entry.stateBytes - before
            while stateBytes > bounds.stateBytes, count > 0 { forgetOldest() }
        }

        private mutating func forgetOldest() {
            if looks > 0 && !ring[oldest].entry.isSettled { evicted += 1 }
            stateBytes -= ring[oldest].entry.stateBytes
            places[ring[oldest].key] = nil
            ring[oldest].entry = Entry()
            oldest = (oldest + 1) % max(ring.count, 1)
            count -= 1
        }
    }

    /// The names that are searched for in messages.
    let names: CarriedNames
    private let bounds: Bounds
    private let state = Mutex(State())

    /// The most tasks that are remembered, and the bytes that their `tracestate` may take together.
    fileprivate struct Bounds {
        let count: Int
        let stateBytes: Int
    }

    package convenience init(bytes: Int = defaultBytes, keys: TaskContextKeys = TaskContextKeys()) {
        let stateBytes = bytes / 4
        self.init(
            capacity: min((bytes - stateBytes) / Self.bytesPerTask, Self.maxCount), stateBytes: stateBytes, keys: keys)
    }

    init(capacity: Int, stateBytes: Int = .max, keys: TaskContextKeys = TaskContextKeys()) {
        bounds = Bounds(count: max(1, capacity), stateBytes: stateBytes)
        names = CarriedNames(keys)
    }

    package var count: Int { state.withLock { $0.count } }
    /// The bytes that all of it takes.
    package var bytes: Int { state.withLock { $0.bytes } }
    /// The number of tasks that were forgotten for lack of space before their span came.
    package var evicted: UInt64 { state.withLock { $0.evicted } }

    // MARK: What Redis shows

    /// - Parameters:
    ///   - ready: The time since which the task is pending; nil where it was seen in another state.
    ///   - task: The message; nil where it has not been read.
    func record(queue: QueueName, id: [UInt8], ready: WallTime?, task: StoredTask?) {
        let key = Key(queue, id)
        state.withLock { $0.update(key, within: bounds) { $0.record(ready: ready, task) } }
    }

    /// Records the message of a task that runs: a worker had begun it by then.
    func recordRunning(queue: QueueName, id: [UInt8], task: StoredTask, by time: WallTime) {
        let key = Key(queue, id)
        state.withLock { state in
            state.update(key, within: bounds) { entry in
                entry.record(ready: nil, task)
                entry.recordStarted(by: time)
            }
        }
    }

    /// Records that workers had begun these tasks by then.
    func recordStarted(queue: QueueName, _ ids: some Sequence<[UInt8]>, by time: WallTime) {
        state.withLock { state in
            for id in ids {
                if let place = state.place(of: Key(queue, id)) { state[place].recordStarted(by: time) }
            }
        }
    }

    /// Records that the task has left the state that it was seen in. What comes under its id may be another one, whose
    /// message is to be read. Its span may still be to come.
    func recordLeft(queue: QueueName, _ ids: some Sequence<[UInt8]>) {
        state.withLock { state in
            for id in ids {
                if let place = state.place(of: Key(queue, id)) { state[place].message.isRead = false }
            }
        }
    }

    /// Records that the task's message can't be read: it is not asked for again, and what is known of it stays.
    func recordUnreadable(queue: QueueName, id: [UInt8]) {
        let key = Key(queue, id)
        state.withLock { $0.update(key, within: bounds) { $0.message.isRead = true } }
    }

    /// Returns those whose message has not been read yet.
    func unread(queue: QueueName, _ ids: [[UInt8]]) -> [[UInt8]] {
        state.withLock { state in
            ids.filter { id in state.place(of: Key(queue, id)).map { !state[$0].message.isRead } ?? true }
        }
    }

    /// Records that the task that was pending since `ready` left the list within the window. What else comes under its
    /// id is another attempt, or another task. `wasStarted` says that Redis was asked for it, and that it was not moved
    /// by hand.
    func recordGone(queue: QueueName, id: [UInt8], ready: WallTime, _ window: LookWindow, wasStarted: Bool = false) {
        let key = Key(queue, id)
        state.withLock { state in
            guard let place = state.place(of: key) else { return }
            state[place].attempts.recordGone(since: ready, window)
            if wasStarted { state[place].recordStarted(by: window.to) }
        }
    }

    // MARK: What spans are told

    /// Gives each process span of one request the known facts of its task. A message that a span knows already stays.
    package func look(for spans: inout [TaskSpan], in body: UnsafeRawBufferPointer) {
        guard spans.indices.contains(where: { spans[$0].role == .process && spans[$0].namesTask }) else { return }
        state.withLock { state in
            state.looks += 1
            if state.count == 0 { return }
            for index in spans.indices where spans[index].role == .process && spans[index].namesTask {
                state.look(for: &spans[index], in: body)
            }
        }
    }

    /// Uses up the ready times that accepted spans were told, so that other spans do not get them. `repeated` are spans
    /// that had been accepted before, whose attempt has its wait already.
    package func use(_ spans: [TaskSpan], except repeated: [SpanReference] = []) {
        // Indices are used because a span is a large value.
        guard spans.indices.contains(where: { spans[$0].knowledge.readyTime != nil }) else { return }
        state.withLock { state in
            for index in spans.indices {
                guard let found = spans[index].knowledge.readyTime, !repeated.contains(spans[index].reference)
                else { continue }
                state[Int(found.place)].attempts.use(found.time, offeredBy: found.look)
            }
        }
    }
}

extension SeenTasks.State {
    fileprivate mutating func look(for span: inout TaskSpan, in body: UnsafeRawBufferPointer) {
        let key = SeenTasks.Key(span.queue.bytes(in: body), span.taskID.bytes(in: body))
        guard let place = place(of: key) else { return }
        self[place].isAsked = true
        let stamp = span.enqueuedAt(in: body)
        if span.knowledge.message == nil {
            span.knowledge.message = self[place].message.tell(span, enqueuedAt: stamp, look: looks)
        }
        span.knowledge.wasStarted = self[place].wasStarted(before: span, enqueuedAt: stamp)
        span.knowledge.readyTime = readyTime(at: place, of: span, enqueuedAt: stamp, in: body)
    }

    private mutating func readyTime(
        at place: Int, of span: TaskSpan, enqueuedAt stamp: WallTime?, in body: UnsafeRawBufferPointer
    ) -> ReadyTime? {
        if span.startNanoseconds == 0 { return nil }
        // The client wrote both times of a first attempt just after each other. Those of a scheduled task, or of a
        // retry, are of two machines, whose clocks may differ by a second.
        let tolerance = span.mayBeFirstAttempt && span.processAt == .absent ? 1_000_000 : 1_000_000_000 as Int64
        let time = self[place].attempts.offer(
            retryCount: span.retryCount.number(in: body).flatMap { Int32(exactly: $0) }, start: span.start,
            earliest: stamp.map { WallTime(nanoseconds: $0.nanoseconds - tolerance) }, look: looks)
        return time.map { ReadyTime(time: $0, place: Int32(place), look: looks) }
    }
}
