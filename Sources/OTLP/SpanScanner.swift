package import Model
package import ProtobufWire

/// Why a body is not an ExportTraceServiceRequest, and where.
package struct MalformedRequest: Error, CustomStringConvertible, Sendable {
    /// Such as `resource_spans[0].scope_spans[1].spans[7]`; empty for the request itself.
    package let path: String
    package let cause: WireError

    package var description: String {
        "\(path.isEmpty ? "request" : path): \(cause.reason.rawValue) (at byte \(cause.offset))"
    }
}

/// Reads an OTLP request without decoding it: one pass over the wire format that checks every nested message, counts
/// the spans, and notes the few that tell of an Asynq task. Allocates nothing per span; its arrays keep their room
/// from one request to the next.
///
/// ```
/// ExportTraceServiceRequest  1 resource_spans ─► ResourceSpans  1 resource  2 scope_spans ─► ScopeSpans
///     1 scope  2 spans ─► Span  1 trace_id  2 span_id  4 parent_span_id  6 kind  7 start  8 end  9 attributes
///     11 events  13 links  15 status  16 flags
/// ```
/// Fields may come in any order, and a scalar may be repeated (the last one wins). Nothing refers to the body after
/// `scan` but `ByteRange`s.
package struct SpanScanner: Sendable {
    /// Attribute values nested deeper are refused: Go's protobuf, which Tempo uses, would recurse as deep.
    package static let maxValueDepth = 64

    private let table: TaskAttributeTable
    /// Spans in the request, refused ones included.
    package private(set) var spanCount = 0
    /// The process and producer spans, in the order of the request.
    package private(set) var taskSpans: [TaskSpan] = []
    /// Where the content of each refused span lies: its ids are not what Tempo takes, and it refuses a whole batch
    /// for one of them.
    package private(set) var refused: [Range<Int>] = []

    private var resourceIndex = -1
    private var scopeIndex = -1
    private var spanIndex = -1

    package init(table: TaskAttributeTable = TaskAttributeTable()) {
        self.table = table
    }

    package mutating func scan(_ body: UnsafeRawBufferPointer) throws(MalformedRequest) {
        spanCount = 0
        taskSpans.removeAll(keepingCapacity: true)
        refused.removeAll(keepingCapacity: true)
        resourceIndex = -1
        scopeIndex = -1
        spanIndex = -1
        do {
            var reader = WireReader(body)
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                if field == 1 {
                    try reader.expect(type, .lengthDelimited)
                    resourceIndex += 1
                    scopeIndex = -1
                    spanIndex = -1
                    try scanResourceSpans(try reader.message())
                } else {
                    try reader.skip(type, field: field)
                }
            }
        } catch {
            throw MalformedRequest(path: path, cause: error)
        }
    }

    private var path: String {
        var path = resourceIndex >= 0 ? "resource_spans[\(resourceIndex)]" : ""
        if scopeIndex >= 0 { path += ".scope_spans[\(scopeIndex)]" }
        if spanIndex >= 0 { path += ".spans[\(spanIndex)]" }
        return path
    }

    private mutating func scanResourceSpans(_ message: WireReader) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1:
                try reader.expect(type, .lengthDelimited)
                try checkAttributes(of: try reader.message(), field: 1)
            case 2:
                try reader.expect(type, .lengthDelimited)
                scopeIndex += 1
                spanIndex = -1
                try scanScopeSpans(try reader.message())
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
                try checkAttributes(of: try reader.message(), field: 3)
            case 2:
                try reader.expect(type, .lengthDelimited)
                spanIndex += 1
                try scanSpan(try reader.message())
            default:
                try reader.skip(type, field: field)
            }
        }
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
                try checkAttributes(of: try reader.message(), field: 3)
            case 13:
                try reader.expect(type, .lengthDelimited)
                try scanLink(try reader.message(), &span)
            case 15:
                try reader.expect(type, .lengthDelimited)
                span.task.isError = try readStatusCode(try reader.message()) == 2
            case 16:
                try reader.expect(type, .fixed32)
                span.task.isSampled = try reader.fixed32() & 1 == 1
            default:
                try reader.skip(type, field: field)
            }
        }
        spanCount += 1
        guard span.hasValidIDs else {
            refused.append(message.position..<message.end)
            return
        }
        if let task = span.asTaskSpan(in: message.buffer) { taskSpans.append(task) }
    }

    /// nil for a wrong length; an empty id reads as zero.
    private func readTraceID(_ reader: inout WireReader, _ type: WireType) throws(WireError) -> TraceID? {
        try reader.expect(type, .lengthDelimited)
        let bytes = try reader.bytes()
        if bytes.isEmpty { return TraceID.none }
        guard bytes.count == 16 else { return nil }
        return TraceID(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    private func readSpanID(_ reader: inout WireReader, _ type: WireType) throws(WireError) -> SpanID? {
        try reader.expect(type, .lengthDelimited)
        let bytes = try reader.bytes()
        if bytes.isEmpty { return SpanID.none }
        guard bytes.count == 8 else { return nil }
        return SpanID(UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
    }

    private func readStatusCode(_ message: WireReader) throws(WireError) -> UInt64 {
        var reader = message
        var code: UInt64 = 0
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 3 {
                try reader.expect(type, .varint)
                code = try reader.varint()
            } else {
                try reader.skip(type, field: field)
            }
        }
        return code
    }

    private func scanLink(_ message: WireReader, _ span: inout SpanFields) throws(WireError) {
        var reader = message
        var trace: TraceID? = TraceID.none
        var id: SpanID? = SpanID.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch field {
            case 1: trace = try readTraceID(&reader, type)
            case 2: id = try readSpanID(&reader, type)
            case 4:
                try reader.expect(type, .lengthDelimited)
                try checkKeyValue(try reader.message(), depth: 0)
            default: try reader.skip(type, field: field)
            }
        }
        guard let trace, let id else {
            span.hasBadLink = true
            return
        }
        let link = SpanReference(trace: trace, span: id)
        if link.isValid && !span.task.link.isValid { span.task.link = link }
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
            span.set(found.attribute, rank: found.rank, value)
        }
    }

    /// AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes. The last one that is present wins.
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
                _ = try reader.varint()
                value = .other
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

    /// ArrayValue and KeyValueList: both hold their items in field 1.
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
            if field == 2 {
                try reader.expect(type, .lengthDelimited)
                _ = try readValue(try reader.message(), depth: depth)
            } else {
                try reader.skip(type, field: field)
            }
        }
    }

    /// Checks a message whose only nested messages are the attributes in `field`: Resource (1), scope and event (3).
    private func checkAttributes(of message: WireReader, field attributes: Int) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == attributes {
                try reader.expect(type, .lengthDelimited)
                try checkKeyValue(try reader.message(), depth: 0)
            } else {
                try reader.skip(type, field: field)
            }
        }
    }
}
