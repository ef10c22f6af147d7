import Model

/// Tells the first attempt at a task from later ones that have the same retry count. Asynq does not raise the count
/// where `IsFailure` says false. Nor does it for a task that a worker puts back when it stops, or for an archived one
/// that is run again.
///
/// A task is identified by queue, id and what names its enqueueing, since ids are reused (`asynq.TaskID`):
///
/// | the span has | key | one that started before under it |
/// |---|---|---|
/// | a stamp that is a time | queue, id, that time | is an earlier attempt |
/// | none | queue, id, stamp and context in the task's message, where Redis has told it | is an earlier attempt |
/// | none | queue, id, link (else parent) | is an earlier attempt |
/// | none of these | queue, id | is one if it failed: after one that succeeded the id is free for another task |
///
/// Keys are 64 bits of a hash that is seeded per process, so no sender can make two tasks one. Among 400,000 keys
/// chance makes one of 4 · 10¹³ new ones look known. Failed attempts are remembered apart from those that succeeded,
/// and so for longer: they are run again.
struct StartedAttempts: Sendable {
    /// The order of an attempt among those of its enqueueing whose spans have come.
    enum Order: Int {
        /// No other has come, or the span itself has to say which one it is.
        case first
        /// Only later ones have come, so that one of them was taken for the first.
        case overtaken
        /// One that started before has come.
        case later

        func combined(with other: Order?) -> Order { rawValue >= other?.rawValue ?? 0 ? self : other ?? self }
    }

    private let hash = KeyedHash()
    private var succeeded: StartTable
    private var failed: StartTable

    /// Divides the bytes: a third is for attempts that failed.
    init(bytes: Int) {
        succeeded = StartTable(bytes: bytes - bytes / 3)
        failed = StartTable(bytes: bytes / 3)
    }

    /// The number of attempts that were forgotten for lack of space.
    var evicted: UInt64 { succeeded.evicted + failed.evicted }

    var bytes: TableBytes {
        let (succeeded, failed) = (succeeded.bytes, failed.bytes)
        return TableBytes(used: succeeded.used + failed.used, limit: succeeded.limit + failed.limit)
    }

    /// What an attempt at a task is recorded under, as keys; 0 = none.
    struct Attempt {
        /// True if the span itself says that it is not the first.
        let isRetry: Bool
        /// True if it is known to come after the first. The first one's span may still come, and is not overtaken then.
        let isLater: Bool
        let start: UInt64
        let isError: Bool
        /// Queue, id, and the time of the stamp; the only one then.
        var stamp: UInt64 = 0
        /// Queue, id, and what the task's message names.
        var message: UInt64 = 0
        /// Queue, id, and the producer.
        var producer: UInt64 = 0
        /// Queue and id.
        var name: UInt64 = 0
    }

    @inline(__always)
    func attempt(of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) -> Attempt {
        let isRetry = WaitSource.retryCount(of: span, in: body) > 0
        var attempt = Attempt(
            isRetry: isRetry, isLater: isRetry || span.knowledge.wasStarted, start: span.startNanoseconds,
            isError: span.isError)
        guard span.namesTask, span.startNanoseconds > 0 else { return attempt }
        let task = task(of: span, in: body)
        if let stamp = Stamp.parse(span.stamp, in: body) {
            if !attempt.isLater {
                attempt.stamp = key(task, kind: 0, value: UInt64(bitPattern: stamp.nanoseconds))
            }
            return attempt
        }
        attempt.name = key(task, kind: 3, value: 0)
        if attempt.isLater { return attempt }
        if let message = span.knowledge.message, let stamp = message.enqueuedAt {
            attempt.message = key(task, kind: 1, value: messageName(stamp, message.context?.reference))
        }
        let producer = span.link.isValid ? span.link : span.parentReference
        if producer.isValid { attempt.producer = key(task, kind: 2, value: hash(producer)) }
        return attempt
    }

    /// Fetches what `record` reads, if `index` attempts are recorded before.
    func prefetch(_ attempt: Attempt, after index: Int) {
        prefetch(attempt.stamp, after: index)
        prefetch(attempt.message, after: index)
        prefetch(attempt.producer, after: index)
        if attempt.name != 0 { failed.prefetch(attempt.name) }
    }

    private func prefetch(_ key: UInt64, after index: Int) {
        if key == 0 { return }
        failed.prefetch(key)
        succeeded.prefetch(key, after: index)
    }

    /// Records an attempt, and returns its order among the others.
    mutating func record(_ attempt: Attempt) -> Order {
        if attempt.stamp != 0 { return record(attempt, under: attempt.stamp) }
        guard attempt.name != 0 else { return attempt.isLater ? .later : .first }
        let message = attempt.message == 0 ? nil : record(attempt, under: attempt.message)
        let producer = attempt.producer == 0 ? nil : record(attempt, under: attempt.producer)
        let isOnlyName = !attempt.isRetry && message == nil && producer == nil
        let byName = recordOutcome(of: attempt, isOnlyName: isOnlyName)
        return attempt.isLater ? .later : byName.combined(with: message).combined(with: producer)
    }

    /// Records a start, of which the earliest stays. The key counts as new, so that a task that is tried again and
    /// again is not forgotten.
    private mutating func record(_ attempt: Attempt, under key: UInt64) -> Order {
        let start = attempt.start
        if let known = failed.start(of: key) {
            failed.remove(key)
            failed.insert(key, start: min(known, start))
            return start < known ? .overtaken : .later
        }
        let known = succeeded.start(of: key)
        if known != nil { succeeded.remove(key) }
        let earliest = min(known ?? start, start)
        if attempt.isError { failed.insert(key, start: earliest) } else { succeeded.insert(key, start: earliest) }
        guard let known else { return .first }
        return start < known ? .overtaken : .later
    }

    /// Records the outcome where only the name is known, and returns whether the attempt before has failed. Only failed
    /// ones are remembered.
    private mutating func recordOutcome(of attempt: Attempt, isOnlyName: Bool) -> Order {
        let (key, start) = (attempt.name, attempt.start)
        let known = failed.start(of: key)
        if known ?? 0 < start {
            if known != nil { failed.remove(key) }
            if isOnlyName && attempt.isError { failed.insert(key, start: start) }
        }
        guard let known else { return .first }
        return known <= start ? .later : attempt.isError ? .overtaken : .first
    }

    // MARK: Keys

    private func task(of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) -> UInt64 {
        hash(hash(span.queue.bytes(in: body)), hash(span.taskID.bytes(in: body)))
    }

    /// Returns a key; 0 stands for a free entry.
    private func key(_ task: UInt64, kind: UInt64, value: UInt64) -> UInt64 {
        max(1, hash(hash(task, kind), value))
    }

    /// Returns the name of the enqueueing that a task's message tells.
    private func messageName(_ stamp: WallTime, _ context: SpanReference?) -> UInt64 {
        hash(UInt64(bitPattern: stamp.nanoseconds), context.map { hash($0) } ?? 0)
    }
}
