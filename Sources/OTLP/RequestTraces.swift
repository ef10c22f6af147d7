package import Model
import ProtobufWire

/// Tells which traces the spans of a request belong to. The scanner has accepted the request; if it can't be read on,
/// the traces found so far are the answer.
package enum RequestTraces {
    /// Returns the traces in the order of the spans; one that follows itself stands once.
    package static func ids(in request: UnsafeRawBufferPointer) -> [TraceID] {
        var found: [TraceID] = []
        do throws(WireError) {
            try forEach(1, of: WireReader(request)) { resourceSpans throws(WireError) in
                try forEach(2, of: resourceSpans) { scopeSpans throws(WireError) in
                    try forEach(2, of: scopeSpans) { span throws(WireError) in
                        let id = try ids(of: span).trace
                        if found.last != id { found.append(id) }
                    }
                }
            }
        } catch {
            return found
        }
        return found
    }

    /// Calls `body` for each message in that field.
    /// - Throws: `WireError` where the message is malformed, or what `body` throws.
    static func forEach(
        _ wanted: Int, of message: WireReader, _ body: (WireReader) throws(WireError) -> Void
    ) throws(WireError) {
        var reader = message
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == wanted && type == .lengthDelimited {
                try body(try reader.message())
            } else {
                try reader.skip(type, field: field)
            }
        }
    }

    /// Returns the ids of a span. Every SDK writes both first, so the rest is not read once both are there.
    /// - Throws: `WireError` where the span is malformed.
    static func ids(of span: WireReader) throws(WireError) -> SpanReference {
        var reader = span
        var trace: TraceID?
        var id: SpanID?
        while !reader.isAtEnd, trace == nil || id == nil {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, .lengthDelimited): trace = TraceID(try reader.bytes())
            case (2, .lengthDelimited):
                let bytes = try reader.bytes()
                if bytes.count == 8 { id = SpanID(UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))) }
            default: try reader.skip(type, field: field)
            }
        }
        return SpanReference(trace: trace ?? .none, span: id ?? .none)
    }
}
