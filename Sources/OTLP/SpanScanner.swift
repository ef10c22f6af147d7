package import Model
package import ProtobufWire

/// The reason why a body is not an ExportTraceServiceRequest, and the place.
package struct MalformedRequest: Error, CustomStringConvertible, Sendable {
    /// The path to it, such as `resource_spans[0].scope_spans[1].spans[7]`; empty for the request itself.
    package let path: String
    package let cause: WireError

    package var description: String {
        "\(path.isEmpty ? "request" : path): \(cause.reason.rawValue) (at byte \(cause.offset))"
    }
}

/// Reads an OTLP request without decoding it. One pass over the wire format checks every nested message, counts the
/// spans, and records the few that tell of an Asynq task. It allocates nothing per span, unless one has several links;
/// its arrays keep their capacity from one request to the next.
///
/// ```
/// ExportTraceServiceRequest  1 resource_spans ─► ResourceSpans  1 resource  2 scope_spans ─► ScopeSpans
///     1 scope  2 spans ─► Span  1 trace_id  2 span_id  4 parent_span_id  6 kind  7 start  8 end  9 attributes
///     11 events  13 links  15 status  16 flags
/// ```
/// Fields may come in any order, and a scalar may be repeated (the last one wins). After `scan` only `ByteRange`s refer
/// to the body.
package struct SpanScanner: Sendable {
    /// The deepest attribute value. Deeper ones are refused: Go's protobuf, which Tempo uses, would recurse as deep.
    package static let maxValueDepth = 64

    /// The largest number of spans in a request. Two bytes make a span, and each may leave a record behind.
    package static let maxSpans = 100_000

    private static let maxKeptCapacity = 16_384

    private let table: TaskAttributeTable
    /// The number of spans in the request, refused ones included.
    package private(set) var spanCount = 0
    /// The process and producer spans, in the order of the request. What Redis knows of their tasks is added in place.
    package var taskSpans: [TaskSpan] = []
    /// The content range of each refused span. Its ids, or a number in it, are such that Tempo would refuse the whole
    /// batch.
    package private(set) var refused: [Range<Int>] = []
    /// The number of refused spans with a malformed number.
    package private(set) var badValues = 0
    package private(set) var firstBadValue: MalformedRequest?
    /// True if a span says when it started, as each span does.
    package private(set) var hasStart = false

    private var maxTaskSpans = Int.max
    private var resourceIndex = -1
    private var scopeIndex = -1
    private var spanIndex = -1
    /// The depth of the scan: 0 in the request, 1 in a ResourceSpans, 2 in a ScopeSpans, 3 in a span. An error leaves
    /// it where it happened.
    private var level = 0

    package init(table: TaskAttributeTable = TaskAttributeTable()) {
        self.table = table
    }

    /// - Parameter maxTaskBytes: The bytes that the records of task spans may take; a request with more has too many.
    /// - Throws: `MalformedRequest` where the body is not such a request, or has too many spans.
    package mutating func scan(
        _ body: UnsafeRawBufferPointer, maxTaskBytes: Int = .max
    ) throws(MalformedRequest) {
        forget()
        maxTaskSpans = maxTaskBytes / MemoryLayout<TaskSpan>.stride
        resourceIndex = -1
        scopeIndex = -1
        spanIndex = -1
        level = 0
        do {
            var reader = WireReader(body)
            while !reader.isAtEnd {
                let start = reader.position
                switch try reader.wireTag() {
                case .bytes(1):
                    resourceIndex += 1
                    scopeIndex = -1
                    spanIndex = -1
                    level = 1
                    try scanResourceSpans(try reader.message())
                    level = 0
                default: try reader.stepOver(from: start, known: FieldSet(1...1))
                }
            }
        } catch {
            throw MalformedRequest(path: path, cause: error)
        }
    }

    /// Clears the request. The capacity of an ordinary one is kept, that of a very large one is not.
    package mutating func forget() {
        spanCount = 0
        badValues = 0
        firstBadValue = nil
        hasStart = false
        taskSpans.removeAll(keepingCapacity: taskSpans.capacity <= Self.maxKeptCapacity)
        refused.removeAll(keepingCapacity: refused.capacity <= Self.maxKeptCapacity)
    }

    private var path: String {
        var path = level >= 1 ? "resource_spans[\(resourceIndex)]" : ""
        if level >= 2 { path += ".scope_spans[\(scopeIndex)]" }
        if level >= 3 { path += ".spans[\(spanIndex)]" }
        return path
    }

    private mutating func scanResourceSpans(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): try Self.checkResource(try reader.message())
            case .bytes(2):
                scopeIndex += 1
                spanIndex = -1
                level = 2
                try scanScopeSpans(try reader.message())
                level = 1
            case .bytes(3): _ = try reader.range()
            default: try reader.stepOver(from: start, known: FieldSet(1...3))
            }
        }
    }

    private mutating func scanScopeSpans(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): try Self.checkScope(try reader.message())
            case .bytes(2):
                spanIndex += 1
                level = 3
                let span = try reader.message()
                do throws(WireError) {
                    try scanSpan(span)
                } catch {
                    // A malformed number costs its span only, because the end of the span is known.
                    if error.reason != .badVarint { throw error }
                    try refuseValue(of: span, error)
                }
                level = 2
            case .bytes(3): _ = try reader.range()
            default: try reader.stepOver(from: start, known: FieldSet(1...3))
            }
        }
    }

    private mutating func refuseValue(of span: WireReader, _ error: WireError) throws(WireError) {
        try countSpan(span)
        badValues += 1
        if firstBadValue == nil { firstBadValue = MalformedRequest(path: path, cause: error) }
        refused.append(span.position..<span.end)
    }

    private mutating func countSpan(_ span: WireReader) throws(WireError) {
        spanCount += 1
        if spanCount > Self.maxSpans { throw WireError(.tooMany, offset: span.position) }
    }

    private mutating func scanSpan(_ message: WireReader) throws(WireError) {
        var reader = message
        var span = SpanFields()
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): span.traceID = Self.traceID(try reader.bytes())
            case .bytes(2): span.spanID = Self.spanID(try reader.bytes())
            case .bytes(4): span.parentID = Self.spanID(try reader.bytes())
            case .varint(6): span.kind = try reader.varint()
            case .fixed64(7): span.task.startNanoseconds = try reader.fixed64()
            case .fixed64(8): span.task.endNanoseconds = try reader.fixed64()
            case .bytes(9): try Self.scanAttribute(try reader.message(), &span, table)
            case .bytes(11):
                try Self.checkEvent(try reader.message())
                span.hasEvents = true
            case .bytes(13): try Self.scanLink(try reader.message(), &span)
            case .bytes(15):
                if let code = try Self.readStatusCode(try reader.message()) { span.task.isError = code == 2 }
            case .fixed32(16): span.flags = try reader.fixed32()
            // Only Tempo reads these fields: it refuses a whole batch for one of another wire type.
            case .bytes(3), .bytes(5): _ = try reader.range()
            case .varint(10), .varint(12), .varint(14): _ = try reader.varint()
            default: try reader.stepOver(from: start, known: FieldSet(1...16))
            }
        }
        try countSpan(message)
        if span.task.startNanoseconds != 0 { hasStart = true }
        guard span.hasValidIDs else {
            refused.append(message.position..<message.end)
            return
        }
        guard span.completeTask(in: message.buffer) else { return }
        span.task.content = ByteRange(offset: message.position, count: message.end - message.position)
        if span.task.isError && span.task.role == .process && span.task.errorType.isEmpty && span.hasEvents {
            span.task.errorType = try ExceptionEvents.lastType(in: message)
        }
        if taskSpans.count >= maxTaskSpans { throw WireError(.tooMany, offset: message.position) }
        taskSpans.append(span.task)
    }

    /// Reads a trace id. Returns nil for a wrong length; an empty id reads as zero.
    @inline(__always)
    private static func traceID(_ bytes: UnsafeRawBufferPointer) -> TraceID? {
        bytes.isEmpty ? TraceID.none : TraceID(bytes)
    }

    @inline(__always)
    private static func spanID(_ bytes: UnsafeRawBufferPointer) -> SpanID? {
        if bytes.isEmpty { return SpanID.none }
        guard bytes.count == 8 else { return nil }
        return SpanID(UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
    }

    /// Returns the code, or nil for a status without one: the code of an earlier part of it stands, as protobuf merges
    /// them.
    private static func readStatusCode(_ message: WireReader) throws(WireError) -> UInt64? {
        var reader = message
        var code: UInt64?
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(2): _ = try reader.range()
            case .varint(3): code = try reader.varint()
            default: try reader.stepOver(from: start, known: FieldSet(2...3))
            }
        }
        return code
    }

    private static func scanLink(_ message: WireReader, _ span: inout SpanFields) throws(WireError) {
        var reader = message
        var trace: TraceID? = TraceID.none
        var id: SpanID? = SpanID.none
        var flags: UInt32 = 0
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): trace = Self.traceID(try reader.bytes())
            case .bytes(2): id = Self.spanID(try reader.bytes())
            case .bytes(3): _ = try reader.range()
            case .bytes(4): try checkKeyValue(try reader.message(), depth: 0)
            case .varint(5): _ = try reader.varint()
            case .fixed32(6): flags = try reader.fixed32()
            default: try reader.stepOver(from: start, known: FieldSet(1...6))
            }
        }
        guard let trace, let id else {
            span.hasBadLink = true
            return
        }
        let link = SpanReference(trace: trace, span: id)
        guard link.isValid else { return }
        if !span.task.link.isValid {
            span.task.link = link
            span.linkFlags = flags
        } else {
            if span.task.moreLinks.isEmpty { span.task.moreLinks.reserveCapacity(TaskSpan.maxLinks - 1) }
            if span.task.moreLinks.count == TaskSpan.maxLinks - 1 { span.task.moreLinks.removeFirst() }
            span.task.moreLinks.append(link)
        }
    }

    private static func scanAttribute(
        _ message: WireReader, _ span: inout SpanFields, _ table: TaskAttributeTable
    ) throws(WireError) {
        let attribute = if let plain = Attribute(plain: message) { plain } else { try readAttribute(message) }
        guard let found = table.find(attribute.key) else { return }
        span.set(found.attribute, rank: found.rank, attribute.value, in: message.buffer)
    }

    @inline(never)
    private static func readAttribute(_ message: WireReader) throws(WireError) -> Attribute {
        var reader = message
        var key = UnsafeRawBufferPointer(start: nil, count: 0)
        var value = AttributeValue.absent
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): key = try reader.bytes()
            case .bytes(2): value = try readValue(try reader.message(), depth: 0)
            default: try reader.stepOver(from: start, known: FieldSet(1...2))
            }
        }
        return Attribute(key: key, value: value)
    }

    /// Reads an AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes. The last one that is present
    /// wins.
    private static func readValue(_ message: WireReader, depth: Int) throws(WireError) -> AttributeValue {
        if depth > Self.maxValueDepth { throw WireError(.tooDeep, offset: message.position) }
        var reader = message
        var value = AttributeValue.absent
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1):
                let range = try reader.range()
                value = .string(ByteRange(offset: range.lowerBound, count: range.count))
            case .varint(2): value = .boolean(try reader.varint() != 0)
            case .varint(3): value = .integer(Int64(bitPattern: try reader.varint()))
            case .fixed64(4): value = .double(Double(bitPattern: try reader.fixed64()))
            case .bytes(5):
                try checkList(try reader.message(), ofKeyValues: false, depth: depth + 1)
                value = .other
            case .bytes(6):
                try checkList(try reader.message(), ofKeyValues: true, depth: depth + 1)
                value = .other
            case .bytes(7):
                _ = try reader.range()
                value = .other
            default: try reader.stepOver(from: start, known: FieldSet(1...7))
            }
        }
        return value
    }

    /// Checks an ArrayValue or a KeyValueList: both hold their items in field 1.
    private static func checkList(_ message: WireReader, ofKeyValues: Bool, depth: Int) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1):
                let item = try reader.message()
                if ofKeyValues {
                    try checkKeyValue(item, depth: depth)
                } else {
                    _ = try readValue(item, depth: depth)
                }
            default: try reader.stepOver(from: start, known: FieldSet(1...1))
            }
        }
    }

    private static func checkKeyValue(_ message: WireReader, depth: Int) throws(WireError) {
        if depth <= maxValueDepth && Attribute(plain: message) != nil { return }
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): _ = try reader.range()
            case .bytes(2): _ = try readValue(try reader.message(), depth: depth)
            default: try reader.stepOver(from: start, known: FieldSet(1...2))
            }
        }
    }

    /// Checks a Resource: 1 attributes, 2 dropped_attributes_count, 3 entity_refs.
    private static func checkResource(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1): try checkKeyValue(try reader.message(), depth: 0)
            case .varint(2): _ = try reader.varint()
            case .bytes(3): try checkEntity(try reader.message())
            default: try reader.stepOver(from: start, known: FieldSet(1...3))
            }
        }
    }

    /// Checks an EntityRef: 1 schema_url, 2 type, 3 id_keys, 4 description_keys.
    private static func checkEntity(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1), .bytes(2), .bytes(3), .bytes(4): _ = try reader.range()
            default: try reader.stepOver(from: start, known: FieldSet(1...4))
            }
        }
    }

    /// Checks an InstrumentationScope: 1 name, 2 version, 3 attributes, 4 dropped_attributes_count.
    private static func checkScope(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .bytes(1), .bytes(2): _ = try reader.range()
            case .bytes(3): try checkKeyValue(try reader.message(), depth: 0)
            case .varint(4): _ = try reader.varint()
            default: try reader.stepOver(from: start, known: FieldSet(1...4))
            }
        }
    }

    /// Checks an Event: 1 time_unix_nano, 2 name, 3 attributes, 4 dropped_attributes_count.
    private static func checkEvent(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let start = reader.position
            switch try reader.wireTag() {
            case .fixed64(1): _ = try reader.fixed64()
            case .bytes(2): _ = try reader.range()
            case .bytes(3): try checkKeyValue(try reader.message(), depth: 0)
            case .varint(4): _ = try reader.varint()
            default: try reader.stepOver(from: start, known: FieldSet(1...4))
            }
        }
    }
}
