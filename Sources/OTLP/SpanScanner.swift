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
                let (field, type) = try reader.tag()
                if field == 1 {
                    try reader.expect(type, .lengthDelimited)
                    resourceIndex += 1
                    scopeIndex = -1
                    spanIndex = -1
                    level = 1
                    try scanResourceSpans(try reader.message())
                    level = 0
                } else {
                    try reader.skip(type, field: field)
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
        taskSpans.removeAll(keepingCapacity: taskSpans.capacity <= Self.maxKeptCapacity)
        refused.removeAll(keepingCapacity: refused.capacity <= Self.maxKeptCapacity)
    }

    private var path: String {
        var path = level >= 1 ? "resource_spans[\(resourceIndex)]" : ""
        if level >= 2 { path += ".scope_spans[\(scopeIndex)]" }
        if level >= 3 { path += ".spans[\(spanIndex)]" }
        return path
    }

    /// Steps over a field that only Tempo reads: it refuses a whole batch for one of another wire type.
    private func pass(
        _ reader: inout WireReader, type: WireType, expected: WireType, field: Int
    ) throws(WireError) {
        try reader.expect(type, expected)
        try reader.skip(type, field: field)
    }

    private mutating func scanResourceSpans(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1:
                try reader.expect(type, .lengthDelimited)
                try checkFields(of: try reader.message(), .resource)
            case 2:
                try reader.expect(type, .lengthDelimited)
                scopeIndex += 1
                spanIndex = -1
                level = 2
                try scanScopeSpans(try reader.message())
                level = 1
            case 3:
                try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            default:
                try reader.skip(type, field: field)
            }
        }
    }

    private mutating func scanScopeSpans(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1:
                try reader.expect(type, .lengthDelimited)
                try checkFields(of: try reader.message(), .scope)
            case 2:
                try reader.expect(type, .lengthDelimited)
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
            case 3:
                try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            default:
                try reader.skip(type, field: field)
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
            let (field, type) = try reader.tag()
            switch field {
            case 1: span.traceID = try readTraceID(&reader, type)
            case 2: span.spanID = try readSpanID(&reader, type)
            case 4: span.parentID = try readSpanID(&reader, type)
            case 3, 5: try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            case 10, 12, 14: try pass(&reader, type: type, expected: .varint, field: field)
            case 6:
                try reader.expect(type, .varint)
                span.kind = try reader.varint()
            case 7:
                try reader.expect(type, .fixed64)
                span.task.startNanoseconds = try reader.fixed64()
            case 8:
                try reader.expect(type, .fixed64)
                span.task.endNanoseconds = try reader.fixed64()
            case 9:
                try reader.expect(type, .lengthDelimited)
                try scanAttribute(try reader.message(), &span)
            case 11:
                try reader.expect(type, .lengthDelimited)
                try checkFields(of: try reader.message(), .event)
                span.hasEvents = true
            case 13:
                try reader.expect(type, .lengthDelimited)
                try scanLink(try reader.message(), &span)
            case 15:
                try reader.expect(type, .lengthDelimited)
                if let code = try readStatusCode(try reader.message()) { span.task.isError = code == 2 }
            case 16:
                try reader.expect(type, .fixed32)
                span.flags = try reader.fixed32()
            default:
                try reader.skip(type, field: field)
            }
        }
        try countSpan(message)
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
    private func readTraceID(_ reader: inout WireReader, _ type: WireType) throws(WireError) -> TraceID? {
        try reader.expect(type, .lengthDelimited)
        let bytes = try reader.bytes()
        if bytes.isEmpty { return TraceID.none }
        return TraceID(bytes)
    }

    private func readSpanID(_ reader: inout WireReader, _ type: WireType) throws(WireError) -> SpanID? {
        try reader.expect(type, .lengthDelimited)
        let bytes = try reader.bytes()
        if bytes.isEmpty { return SpanID.none }
        guard bytes.count == 8 else { return nil }
        return SpanID(UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
    }

    /// Returns the code, or nil for a status without one: the code of an earlier part of it stands, as protobuf merges
    /// them.
    private func readStatusCode(_ message: WireReader) throws(WireError) -> UInt64? {
        var reader = message
        var code: UInt64?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 2: try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            case 3:
                try reader.expect(type, .varint)
                code = try reader.varint()
            default: try reader.skip(type, field: field)
            }
        }
        return code
    }

    private func scanLink(_ message: WireReader, _ span: inout SpanFields) throws(WireError) {
        var reader = message
        var trace: TraceID? = TraceID.none
        var id: SpanID? = SpanID.none
        var flags: UInt32 = 0
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1: trace = try readTraceID(&reader, type)
            case 2: id = try readSpanID(&reader, type)
            case 4:
                try reader.expect(type, .lengthDelimited)
                try checkKeyValue(try reader.message(), depth: 0)
            case 3: try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            case 5: try pass(&reader, type: type, expected: .varint, field: field)
            case 6:
                try reader.expect(type, .fixed32)
                flags = try reader.fixed32()
            default: try reader.skip(type, field: field)
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

    private func scanAttribute(_ message: WireReader, _ span: inout SpanFields) throws(WireError) {
        var reader = message
        var key = 0..<0
        var value = AttributeValue.absent
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1:
                try reader.expect(type, .lengthDelimited)
                key = try reader.range()
            case 2:
                try reader.expect(type, .lengthDelimited)
                value = try readValue(try reader.message(), depth: 0)
            default:
                try reader.skip(type, field: field)
            }
        }
        if let found = table.find(UnsafeRawBufferPointer(rebasing: message.buffer[key])) {
            span.set(found.attribute, rank: found.rank, value, in: message.buffer)
        }
    }

    /// Reads an AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes. The last one that is present
    /// wins.
    private func readValue(_ message: WireReader, depth: Int) throws(WireError) -> AttributeValue {
        if depth > Self.maxValueDepth { throw WireError(.tooDeep, offset: message.position) }
        var reader = message
        var value = AttributeValue.absent
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1:
                try reader.expect(type, .lengthDelimited)
                let range = try reader.range()
                value = .string(ByteRange(offset: range.lowerBound, count: range.count))
            case 2:
                try reader.expect(type, .varint)
                value = .boolean(try reader.varint() != 0)
            case 3:
                try reader.expect(type, .varint)
                value = .integer(Int64(bitPattern: try reader.varint()))
            case 4:
                try reader.expect(type, .fixed64)
                value = .double(Double(bitPattern: try reader.fixed64()))
            case 5, 6:
                try reader.expect(type, .lengthDelimited)
                try checkList(try reader.message(), ofKeyValues: field == 6, depth: depth + 1)
                value = .other
            case 7:
                try reader.expect(type, .lengthDelimited)
                _ = try reader.range()
                value = .other
            default:
                try reader.skip(type, field: field)
            }
        }
        return value
    }

    /// Checks an ArrayValue or a KeyValueList: both hold their items in field 1.
    private func checkList(_ message: WireReader, ofKeyValues: Bool, depth: Int) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            guard field == 1 else {
                try reader.skip(type, field: field)
                continue
            }
            try reader.expect(type, .lengthDelimited)
            if ofKeyValues {
                try checkKeyValue(try reader.message(), depth: depth)
            } else {
                _ = try readValue(try reader.message(), depth: depth)
            }
        }
    }

    private func checkKeyValue(_ message: WireReader, depth: Int) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1: try pass(&reader, type: type, expected: .lengthDelimited, field: field)
            case 2:
                try reader.expect(type, .lengthDelimited)
                _ = try readValue(try reader.message(), depth: depth)
            default: try reader.skip(type, field: field)
            }
        }
    }

    /// The fields of a message whose only nested messages are the attributes.
    private struct Shape {
        let attributes: Int
        /// The wire types of fields 1, 2, …
        let types: [WireType]
        /// The field whose messages hold texts only; 0 where there is none.
        var texts = 0

        /// The shape of a Resource: 1 attributes, 2 dropped_attributes_count, 3 entity_refs.
        static let resource = Shape(attributes: 1, types: [.lengthDelimited, .varint, .lengthDelimited], texts: 3)
        /// The shape of an EntityRef: 1 schema_url, 2 type, 3 id_keys, 4 description_keys.
        static let entity = Shape(attributes: 0, types: Array(repeating: .lengthDelimited, count: 4))
        /// The shape of an InstrumentationScope: 1 name, 2 version, 3 attributes, 4 dropped_attributes_count.
        static let scope = Shape(attributes: 3, types: [.lengthDelimited, .lengthDelimited, .lengthDelimited, .varint])
        /// The shape of an Event: 1 time_unix_nano, 2 name, 3 attributes, 4 dropped_attributes_count.
        static let event = Shape(attributes: 3, types: [.fixed64, .lengthDelimited, .lengthDelimited, .varint])
    }

    private func checkFields(of message: WireReader, _ shape: Shape) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field <= shape.types.count { try reader.expect(type, shape.types[field - 1]) }
            if field == shape.attributes {
                try checkKeyValue(try reader.message(), depth: 0)
            } else if field == shape.texts {
                try checkFields(of: try reader.message(), .entity)
            } else {
                try reader.skip(type, field: field)
            }
        }
    }
}
