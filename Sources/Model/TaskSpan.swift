/// The range of a text in the request body that carried it. Nothing is copied until it has to be kept.
public struct ByteRange: Equatable, Sendable {
    public let offset: UInt32
    public let count: UInt32

    @inlinable @inline(__always)
    public init(offset: Int, count: Int) {
        self.offset = UInt32(truncatingIfNeeded: offset)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    @inlinable @inline(__always)
    public static var none: ByteRange { ByteRange(offset: 0, count: 0) }

    @inlinable @inline(__always)
    public var isEmpty: Bool { count == 0 }

    @inlinable @inline(__always)
    public func bytes(in body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: body[Int(offset)..<Int(offset) + Int(count)])
    }
}

/// An attribute's value as it stood in the span (OTLP AnyValue), without the kinds that task attributes never have.
package enum AttributeValue: Equatable, Sendable {
    case absent
    case string(ByteRange)
    case boolean(Bool)
    case integer(Int64)
    case double(Double)
    /// The value is an array, a map or bytes, which no task attribute has.
    case other

    /// Returns the value as a number, or nil where it has another form.
    package func number(in body: UnsafeRawBufferPointer) -> Double? {
        switch self {
        case .integer(let number): return Double(number)
        case .double(let number): return number
        case .string(let range):
            guard range.count <= 64 else { return nil }
            return Double(String(decoding: range.bytes(in: body), as: UTF8.self))
        case .absent, .boolean, .other: return nil
        }
    }
}

/// A span that tells of an Asynq task: what the scanner found in it, as plain numbers and ranges into the body.
///
/// Source: OTLP `Span` (trace.proto) and the attributes listed in `TaskAttributes`.
package struct TaskSpan: Sendable {
    package enum Role: Sendable {
        /// One attempt of a worker at a task.
        case process
        /// A client put a task into a queue.
        case produce
    }

    /// The two meanings of a stamp attribute.
    package enum StampMeaning: Sendable {
        /// The task became ready at this time.
        case ready
        /// The client enqueued it at this time; a scheduled task became ready later.
        case enqueued
    }

    package var role: Role = .process
    /// The range of the span's own fields in the request.
    package var content: ByteRange = .none
    package var reference: SpanReference = .none
    /// The parent (field 4); `.none` for a root span.
    package var parent: SpanID = .none
    /// The first link with valid ids (field 13).
    package var link: SpanReference = .none
    /// The last of the links behind it, where their ids are valid: up to `maxLinks` in all.
    package var moreLinks: [SpanReference] = []
    /// The number of links that are kept. Of a task that was made of more parts (an aggregated one) the last ones
    /// count, because they came last as a rule.
    package static let maxLinks = 8
    /// True if the trace that the link names was sampled. It is false only where the link's flags deny it.
    package var isLinkSampled = true
    /// The trace that the span is forwarded in, where that differs from the trace it came in.
    package var movedTo: TraceID?
    /// The start and the end (fields 7 and 8), in nanoseconds since the epoch; 0 where absent.
    package var startNanoseconds: UInt64 = 0
    package var endNanoseconds: UInt64 = 0
    /// True if the status code is 2.
    package var isError = false

    package var queue: ByteRange = .none
    package var taskType: ByteRange = .none
    package var taskID: ByteRange = .none
    package var retryCount: AttributeValue = .absent
    /// The wait as the worker measured it, with the seconds that one unit of it stands for.
    package var wait: AttributeValue = .absent
    package var waitUnitSeconds: Double = 1
    package var stamp: AttributeValue = .absent
    package var stampMeaning: StampMeaning = .enqueued
    /// The type of a failed attempt's error: `error.type`, else `exception.type` of the last exception event.
    package var errorType: ByteRange = .none
    /// The time at which a scheduled task was due (`asynq.task.process_at`).
    package var processAt: AttributeValue = .absent

    /// The facts that Redis has of the task; empty until it is asked.
    package var knowledge = TaskKnowledge()

    package init() {}

    /// True if the span names its task.
    package var namesTask: Bool { !taskID.isEmpty && !queue.isEmpty }

    package var start: WallTime { WallTime(clampedNanoseconds: startNanoseconds) }

    /// The parent as a span of the trace that the span came in; `.none` for a root span.
    package var parentReference: SpanReference {
        parent.isValid ? SpanReference(trace: reference.trace, span: parent) : .none
    }

    /// Returns the time at which the client enqueued the task, as the span says.
    package func enqueuedAt(in body: UnsafeRawBufferPointer) -> WallTime? {
        stampMeaning == .enqueued ? Stamp.parse(stamp, in: body) : nil
    }

    /// True if the span says no retry count, or 0.
    package var mayBeFirstAttempt: Bool { retryCount == .absent || retryCount == .integer(0) }

    /// The reference under which the trace backend knows the span.
    package var forwarded: SpanReference { SpanReference(trace: movedTo ?? reference.trace, span: reference.span) }
}
