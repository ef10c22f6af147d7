package import Model
import Text

/// One failed attempt, or one dead letter.
package struct ErrorEvent: Sendable {
    package enum Kind: Sendable {
        case attempt
        case deadLetter
    }

    /// The longest name; longer ones are cut at a character's end.
    fileprivate static let maxNameBytes = 256
    private static let maxErrorBytes = 512

    package let kind: Kind
    let queue: QueueName
    let taskType: TaskType
    let alike: ForeignText
    fileprivate(set) var example: ErrorGroup.Example
    /// The time at which it was seen; nil for an event that is new.
    let seenAt: WallTime?

    /// - Parameters:
    ///   - span: The span of the attempt; of a dead letter, the one in the context that its task carries.
    ///   - at: The time of the failure, by the clock of its worker.
    ///   - seenAt: The time at which it was seen, where that was before; nil for now.
    package init(
        _ kind: Kind, queue: QueueName, taskType: TaskType, error: UnsafeRawBufferPointer, taskID: ForeignText,
        span: SpanReference?, at: WallTime, seenAt: WallTime? = nil
    ) {
        func named(_ text: ForeignText) -> ForeignText {
            text.bytes.isEmpty ? TaskAggregator.unnamed : text.cut(to: Self.maxNameBytes)
        }
        self.kind = kind
        self.queue = named(queue)
        self.taskType = named(taskType)
        alike = named(ForeignText(AlikeText.make(error)))
        self.seenAt = seenAt
        let trace = span.flatMap { $0.trace.isValid ? $0 : nil }
        example = ErrorGroup.Example(
            error: ForeignText(UnsafeRawBufferPointer(rebasing: error.prefix(Self.maxErrorBytes + 4)))
                .cut(to: Self.maxErrorBytes),
            taskID: taskID.cut(to: Self.maxNameBytes), trace: trace?.trace,
            // What a task carries is the span of its producer, which has not failed.
            span: kind == .deadLetter ? nil : trace.flatMap { $0.span.isValid ? $0.span : nil }, at: at)
    }

    /// The span of a failed attempt.
    fileprivate var attempt: SpanReference? {
        guard kind == .attempt, let trace = example.trace, let span = example.span else { return nil }
        return SpanReference(trace: trace, span: span)
    }
}

/// Failed attempts and dead letters of the last hour, grouped by queue, task type and error. It is pure: times come as
/// arguments.
///
/// It has two bounds.
/// - Bytes: when they are used up, the quarter of the groups goes that was seen longest ago.
/// - Errors of one task type: further ones count under `_other`, so that texts which are all different push out no
///   other group.
///
/// The example of a dead letter has the span of the failed attempt at its task, whichever of the two comes first.
package struct ErrorGroups: Sendable {
    /// The time after its last error at which a group is dropped.
    package static let lifetime = Duration.seconds(3600)
    package static let maxBytes = 4 << 20
    static let maxErrorsPerType = 50
    /// The time after its last occurrence at which an error gives its place to a new one.
    static let placeLifetime = Duration.seconds(300)
    static let other = ForeignText("_other")
    /// The bytes that a group takes beside its texts.
    private static let bytesPerGroup = 512
    private static let expiryInterval = Duration.seconds(30)

    fileprivate struct Kept {
        var group: ErrorGroup
        /// The time of its newest error, on the collector's clock.
        var lastSeen: MonotonicTime
        let bytes: Int
        /// True if the example is a dead letter.
        var hasLetter: Bool
    }

    private struct Series: Hashable {
        let queue: QueueName
        let taskType: TaskType
    }

    private let maxBytes: Int
    private var groups: [Series: [ForeignText: Kept]] = [:]
    private var attempts = FailedAttempts()
    private var nextExpiry = MonotonicTime(nanoseconds: 0)
    /// The bytes that the groups take, estimated.
    package private(set) var bytes = 0
    /// The bytes of the spans by which dead letters find their attempt.
    package var attemptBytes: Int { attempts.bytes }
    /// The number of errors that lost their group before their time, or never had one of their own.
    package private(set) var leftOut: UInt64 = 0

    package init(maxBytes: Int = Self.maxBytes) {
        self.maxBytes = maxBytes
    }

    /// Counts an error, unless it was seen longer ago than the lifetime of a group.
    package mutating func record(_ event: ErrorEvent, wall: WallTime, now: MonotonicTime) {
        // A time from the future is that of another clock.
        let seenAt = min(wall, event.seenAt ?? wall)
        let age = wall.duration(since: seenAt)
        if age > Self.lifetime { return }
        if now >= nextExpiry { expire(at: now) }
        let series = Series(queue: event.queue, taskType: event.taskType)
        var event = event
        if let attempt = event.attempt {
            attempts.record(queue: event.queue, id: event.example.taskID, span: attempt)
            complete(lettersOf: event.example.taskID, in: series, by: attempt)
        } else if event.kind == .deadLetter,
            let attempt = attempts.span(queue: event.queue, id: event.example.taskID)
        {
            event.example.setSpan(attempt)
        }
        let error = place(for: event.alike, in: series, at: now)
        if error != event.alike { leftOut += 1 }
        let seen = (seenAt, now.advanced(by: .zero - age))
        if var kept = groups[series]?[error] {
            kept.add(event, seen)
            groups[series]?[error] = kept
        } else {
            insert(error, event: event, series: series, seen: seen)
        }
    }

    /// Sets the span of the failed attempt in the examples that are dead letters of a task.
    private mutating func complete(lettersOf task: ForeignText, in series: Series, by attempt: SpanReference) {
        guard let known = groups[series] else { return }
        for (error, kept) in known where kept.hasLetter && kept.group.example.taskID == task {
            groups[series]?[error]?.group.example.setSpan(attempt)
        }
    }

    /// Returns the span of the newest failed attempt at a task; nil where none is known.
    package func attempt(at task: TaskName) -> SpanReference? {
        attempts.span(queue: task.queue, id: ForeignText(task.id).cut(to: ErrorEvent.maxNameBytes))
    }

    /// Returns the groups, the most frequent ones first, and of these the newest.
    package func all(at now: MonotonicTime) -> [ErrorGroup] {
        let current = groups.values.flatMap(\.values).filter { !$0.isOver(at: now, after: Self.lifetime) }
        return current.map(\.group).sorted { left, right in
            left.count != right.count
                ? left.count > right.count
                : (right.lastSeen, left.queue, left.taskType, left.error)
                    < (left.lastSeen, right.queue, right.taskType, right.error)
        }
    }

    /// Returns the error itself, or `_other` where the task type has as many as it may have.
    private mutating func place(for error: ForeignText, in series: Series, at now: MonotonicTime) -> ForeignText {
        guard let known = groups[series], known.count >= Self.maxErrorsPerType, known[error] == nil else {
            return error
        }
        let oldest = known.filter { $0.key != Self.other }.min { $0.value.lastSeen < $1.value.lastSeen }
        guard let oldest, oldest.value.isOver(at: now, after: Self.placeLifetime) else { return Self.other }
        remove(oldest.key, series)
        return error
    }

    private mutating func insert(
        _ error: ForeignText, event: ErrorEvent, series: Series, seen: (wall: WallTime, monotonic: MonotonicTime)
    ) {
        let group = ErrorGroup(
            queue: series.queue, taskType: series.taskType, error: error, example: event.example, seenAt: seen.wall)
        // These are the bytes with the largest possible example.
        let bytes =
            Self.bytesPerGroup + series.queue.bytes.count + series.taskType.bytes.count + error.bytes.count * 2 + 768
        var kept = Kept(
            group: group, lastSeen: seen.monotonic, bytes: bytes, hasLetter: event.kind == .deadLetter)
        kept.count(event.kind)
        groups[series, default: [:]][error] = kept
        self.bytes += bytes
        if self.bytes > maxBytes { evict() }
    }

    private mutating func evict() {
        let all = groups.flatMap { series, errors in
            errors.map { (series: series, error: $0.key, lastSeen: $0.value.lastSeen) }
        }
        for (series, error, _) in all.sorted(by: { $0.lastSeen < $1.lastSeen }).prefix(max(1, all.count / 4)) {
            remove(error, series)
        }
    }

    private mutating func remove(_ error: ForeignText, _ series: Series) {
        guard let kept = groups[series]?.removeValue(forKey: error) else { return }
        bytes -= kept.bytes
        leftOut += kept.group.count
        if groups[series]?.isEmpty == true { groups[series] = nil }
    }

    /// Drops the groups that were not seen for their lifetime.
    package mutating func expire(at now: MonotonicTime) {
        nextExpiry = now.advanced(by: Self.expiryInterval)
        for (series, errors) in groups {
            for (error, kept) in errors where kept.isOver(at: now, after: Self.lifetime) {
                groups[series]?[error] = nil
                bytes -= kept.bytes
            }
            if groups[series]?.isEmpty == true { groups[series] = nil }
        }
    }
}

extension ErrorGroup.Example {
    fileprivate mutating func setSpan(_ attempt: SpanReference) {
        trace = attempt.trace
        span = attempt.span
    }
}

extension ErrorGroups.Kept {
    fileprivate func isOver(at now: MonotonicTime, after lifetime: Duration) -> Bool {
        now.duration(since: lastSeen) > lifetime
    }

    fileprivate mutating func count(_ kind: ErrorEvent.Kind) {
        switch kind {
        case .attempt: group.attempts += 1
        case .deadLetter: group.deadLetters += 1
        }
    }

    fileprivate mutating func add(_ event: ErrorEvent, _ seen: (wall: WallTime, monotonic: MonotonicTime)) {
        count(event.kind)
        let isNewer = seen.monotonic >= lastSeen
        lastSeen = max(lastSeen, seen.monotonic)
        group.firstSeen = min(group.firstSeen, seen.wall)
        group.lastSeen = max(group.lastSeen, seen.wall)
        // An example that leads to its trace is the better one.
        let (had, has) = (group.example.trace != nil, event.example.trace != nil)
        if had == has ? isNewer : has {
            group.example = event.example
            hasLetter = event.kind == .deadLetter
        }
    }
}
