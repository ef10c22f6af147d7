import Model

/// The fields that have been read of one span so far. Its kind is known only when all of them are read.
struct SpanFields {
    var task = TaskSpan()
    /// The trace id, or nil where it has a wrong length.
    var traceID: TraceID? = TraceID.none
    var spanID: SpanID? = SpanID.none
    var parentID: SpanID? = SpanID.none
    var hasBadLink = false
    var hasEvents = false
    var kind: UInt64 = 0
    /// The W3C trace flags in the low eight bits of field 16; nil where the sender wrote none.
    var flags: UInt32?
    /// The flags of the first link with valid ids.
    var linkFlags: UInt32 = 0

    private var system = AttributeValue.absent
    private var operation = AttributeValue.absent
    private var ranks = Ranks()

    /// The rank of the name that gave each meaning; 255 before there is one.
    private struct Ranks {
        var operation: UInt8 = 255
        var queue: UInt8 = 255
        var taskType: UInt8 = 255
        var taskID: UInt8 = 255
        var retryCount: UInt8 = 255
        var wait: UInt8 = 255
        var stamp: UInt8 = 255
        var processAt: UInt8 = 255
        var errorType: UInt8 = 255
    }

    /// True if the ids are such as Tempo takes. It refuses the whole request for one trace or span id that is zero or
    /// of a wrong length, or one parent or link id of a wrong length.
    var hasValidIDs: Bool {
        guard let traceID, let spanID, parentID != nil, !hasBadLink else { return false }
        return traceID.isValid && spanID.isValid
    }

    mutating func set(
        _ attribute: TaskAttribute, rank: UInt8, _ value: AttributeValue, in body: UnsafeRawBufferPointer
    ) {
        switch attribute {
        case .system: system = value
        case .operation: Self.keep(value, rank: rank, in: &operation, keptRank: &ranks.operation)
        case .queue: Self.keep(value, rank: rank, in: &task.queue, keptRank: &ranks.queue)
        case .taskType: Self.keep(value, rank: rank, in: &task.taskType, keptRank: &ranks.taskType)
        case .taskID: Self.keep(value, rank: rank, in: &task.taskID, keptRank: &ranks.taskID)
        case .retryCount: Self.keep(value, rank: rank, in: &task.retryCount, keptRank: &ranks.retryCount)
        case .processAt: Self.keep(value, rank: rank, in: &task.processAt, keptRank: &ranks.processAt)
        case .errorType: Self.keep(value, rank: rank, in: &task.errorType, keptRank: &ranks.errorType)
        case .wait(let unitSeconds):
            let seconds = (value.number(in: body) ?? .nan) * unitSeconds
            let isUsable = seconds.isFinite && seconds <= PlausibleSeconds.longest
            if Self.keep(value, rank: rank, in: &task.wait, keptRank: &ranks.wait, isUsable: isUsable) {
                task.waitUnitSeconds = unitSeconds
            }
        case .readyStamp: keepStamp(value, rank: rank, meaning: .ready, in: body)
        // An enqueue stamp ranks behind every ready stamp, which is the better one.
        case .enqueueStamp: keepStamp(value, rank: rank + 100, meaning: .enqueued, in: body)
        }
    }

    private mutating func keepStamp(
        _ value: AttributeValue, rank: UInt8, meaning: TaskSpan.StampMeaning, in body: UnsafeRawBufferPointer
    ) {
        let isUsable = rank <= ranks.stamp && Stamp.parse(value, in: body) != nil
        if Self.keep(value, rank: rank, in: &task.stamp, keptRank: &ranks.stamp, isUsable: isUsable) {
            task.stampMeaning = meaning
        }
    }

    /// Returns true if the value is the best so far. A value that can't be used is kept as a sign that there was one,
    /// and gives way to any that can.
    @discardableResult
    private static func keep(
        _ value: AttributeValue, rank: UInt8, in kept: inout AttributeValue, keptRank: inout UInt8,
        isUsable: Bool = true
    ) -> Bool {
        if rank > keptRank { return false }
        guard isUsable && value.isTextOrNumber else {
            if kept == .absent { kept = value }
            return false
        }
        kept = value
        keptRank = rank
        return true
    }

    private static func keep(_ value: AttributeValue, rank: UInt8, in kept: inout ByteRange, keptRank: inout UInt8) {
        guard rank <= keptRank, case .string(let range) = value, !range.isEmpty else { return }
        kept = range
        keptRank = rank
    }

    /// Completes `task`. Returns false for a span of something else than an Asynq task.
    ///
    /// The kinds are those of OTLP (SpanKind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer).
    /// - Process: CONSUMER with system absent or `asynq`; SERVER or INTERNAL with system `asynq` and operation absent
    ///   or `process`.
    /// - Producer: PRODUCER with system absent or `asynq`; CLIENT with system `asynq` and operation `send` or `create`.
    mutating func completeTask(in body: UnsafeRawBufferPointer) -> Bool {
        let isAsynq = Self.text(system, in: body, equals: "asynq")
        let isForeign = !isAsynq && system != .absent
        let role: TaskSpan.Role
        switch kind {
        case 5 where !isForeign: role = .process
        case 4 where !isForeign: role = .produce
        case 1 where isAsynq, 2 where isAsynq:
            guard operation == .absent || Self.text(operation, in: body, equals: "process") else { return false }
            role = .process
        case 3 where isAsynq:
            guard
                Self.text(operation, in: body, equals: "send") || Self.text(operation, in: body, equals: "create")
                    || Self.text(operation, in: body, equals: "publish")
            else { return false }
            role = .produce
        default: return false
        }
        guard let traceID, let spanID, let parentID else { return false }
        task.role = role
        task.reference = SpanReference(trace: traceID, span: spanID)
        task.parent = parentID
        task.isLinkSampled = isLinkSampled
        return true
    }

    /// True if the link's trace was sampled. The span was exported, so it was sampled. If its own flags lack the bit
    /// even so, the sender does not write it (the Python SDK). Its absence from the link then says nothing. Older SDKs
    /// write no flags at all.
    private var isLinkSampled: Bool {
        let isBitWritten = flags.map { $0 & 1 == 1 } ?? true
        return linkFlags == 0 || linkFlags & 1 == 1 || !isBitWritten
    }

    private static func text(_ value: AttributeValue, in body: UnsafeRawBufferPointer, equals text: StaticString)
        -> Bool
    {
        guard case .string(let range) = value, Int(range.count) == text.utf8CodeUnitCount else { return false }
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return range.bytes(in: body).hasSameBytes(as: expected)
    }
}

extension AttributeValue {
    /// True if the value is of a kind that the kept values have: an id, a count, a time.
    fileprivate var isTextOrNumber: Bool {
        switch self {
        case .string, .integer, .double: true
        case .absent, .boolean, .other: false
        }
    }
}
