package import Model
package import ProtobufWire

/// A change of one span in a request that has been scanned.
package struct SpanEdit: Sendable {
    package enum Change: Sendable {
        /// The span is removed: Tempo would refuse its ids (`SpanFields.hasValidIDs`).
        case remove
        /// The span gets a link to the context.
        case link(TraceContext)
        /// The span gets the context as its parent: it moves into that trace.
        case parent(TraceContext)
    }

    /// The range of its content, as the scanner recorded it.
    package let span: Range<Int>
    package let change: Change

    package init(_ span: Range<Int>, _ change: Change) {
        self.span = span
        self.change = change
    }
}

/// Makes a request with some of its spans changed or without them. Every other byte stays as it came; only the lengths
/// around a changed span change. This is the slow path: it runs for requests with such a span only.
package enum SpanRewriter {
    /// Returns the body with the edits applied. They come in the order of the request, one a span at most, and the
    /// scanner has scanned the body.
    /// - Throws: `WireError` where the body is malformed.
    package static func apply(_ edits: [SpanEdit], to body: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
        var rest = edits[...]
        return try rewrite(WireReader(body), nestedField: 1, level: 0, &rest)
    }

    /// Returns the body without the spans in `refused`: the content ranges that `SpanScanner` recorded, ascending.
    /// - Throws: `WireError` where the body is malformed.
    package static func removing(
        _ refused: [Range<Int>], from body: UnsafeRawBufferPointer
    ) throws(WireError) -> [UInt8] {
        try apply(refused.map { SpanEdit($0, .remove) }, to: body)
    }

    /// Rewrites one message. Level 0 is the request (resource_spans = 1), 1 ResourceSpans (scope_spans = 2), 2
    /// ScopeSpans (spans = 2). The edits that it has passed are taken from `edits`: to try them all for each span would
    /// be quadratic.
    private static func rewrite(
        _ message: WireReader, nestedField: Int, level: Int, _ edits: inout ArraySlice<SpanEdit>
    ) throws(WireError) -> [UInt8] {
        var reader = message
        var writer = WireWriter()
        while !reader.isAtEnd {
            let start = reader.position
            let (field, type) = try reader.tag()
            guard field == nestedField, type == .lengthDelimited else {
                try reader.skip(type, field: field)
                writer.raw(UnsafeRawBufferPointer(rebasing: message.buffer[start..<reader.position]))
                continue
            }
            let nested = try reader.message()
            let touched = edits.first.flatMap { edit in
                edit.span.lowerBound >= nested.position && edit.span.upperBound <= nested.end ? edit : nil
            }
            guard let touched else {
                writer.raw(UnsafeRawBufferPointer(rebasing: message.buffer[start..<reader.position]))
                continue
            }
            if level < 2 {
                writer.message(field, try rewrite(nested, nestedField: 2, level: level + 1, &edits))
            } else {
                edits.removeFirst()
                if let changed = try change(nested, touched.change) { writer.message(field, changed) }
            }
        }
        return writer.bytes
    }

    /// Returns the span's new content, or nil where the span is removed.
    private static func change(_ span: WireReader, _ change: SpanEdit.Change) throws(WireError) -> [UInt8]? {
        switch change {
        case .remove: return nil
        case .link(let context):
            var writer = WireWriter()
            writer.raw(UnsafeRawBufferPointer(rebasing: span.buffer[span.position..<span.end]))
            writer.message(13, link(to: context))
            return writer.bytes
        case .parent(let context): return try child(span, of: context)
        }
    }

    /// The bits of `flags` that say that the reference came from another process.
    private static let isRemote: UInt32 = 0x100 | 0x200

    /// Returns a Link: 1 trace_id, 2 span_id, 3 trace_state, 6 flags.
    private static func link(to context: TraceContext) -> [UInt8] {
        var link = WireWriter()
        link.data(1, context.reference.trace.bytes)
        link.data(2, context.reference.span.bytes)
        link.data(3, context.printableTraceState)
        link.fixed32(6, (context.isSampled ? 1 : 0) | isRemote)
        return link.bytes
    }

    /// Returns a Span with 1 trace_id and 4 parent_span_id of the context, and its 3 trace_state if the span has none
    /// of its own.
    private static func child(_ span: WireReader, of context: TraceContext) throws(WireError) -> [UInt8] {
        var reader = span
        var writer = WireWriter()
        var hasState = false
        while !reader.isAtEnd {
            let start = reader.position
            let (field, type) = try reader.tag()
            try reader.skip(type, field: field)
            switch field {
            case 1: writer.data(1, context.reference.trace.bytes)
            case 4: break
            default:
                if field == 3 { hasState = true }
                writer.raw(UnsafeRawBufferPointer(rebasing: span.buffer[start..<reader.position]))
            }
        }
        writer.data(4, context.reference.span.bytes)
        if !hasState { writer.data(3, context.printableTraceState) }
        return writer.bytes
    }

    /// Returns the number of spans that a request has of each trace in question.
    /// - Throws: `WireError` where the body is malformed.
    package static func spanCounts(
        of traces: Set<TraceID>, in body: UnsafeRawBufferPointer
    ) throws(WireError) -> [TraceID: Int] {
        var counts: [TraceID: Int] = [:]
        try count(WireReader(body), nestedField: 1, level: 0, of: traces, into: &counts)
        return counts
    }

    private static func count(
        _ message: WireReader, nestedField: Int, level: Int, of traces: Set<TraceID>, into counts: inout [TraceID: Int]
    ) throws(WireError) {
        var reader = message
        var trace = TraceID.none
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            guard field == nestedField, type == .lengthDelimited else {
                try reader.skip(type, field: field)
                continue
            }
            if level < 3 {
                let nested = try reader.message()
                do throws(WireError) {
                    try count(nested, nestedField: level < 2 ? 2 : 1, level: level + 1, of: traces, into: &counts)
                } catch {
                    // The scanner has refused such a span at its first bad number, whatever follows that.
                    if level < 2 { throw error }
                }
            } else {
                trace = TraceID(try reader.bytes()) ?? .none
            }
        }
        if level == 3 && traces.contains(trace) { counts[trace, default: 0] += 1 }
    }
}

extension TraceContext {
    /// The printable ASCII of a trace state, which is all that W3C allows. Proto3 strings are UTF-8, and Tempo refuses
    /// a request for one that is not.
    fileprivate var printableTraceState: [UInt8] {
        traceState.allSatisfy { (0x20...0x7E).contains($0) } ? traceState : []
    }
}
