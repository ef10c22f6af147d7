package import Model
import ProtobufWire
import Text

/// The spans of one trace as OTLP/JSON, from the requests that they came in: each below its resource and its scope.
package struct TraceDocument: ~Copyable {
    /// The bytes of spans, as protobuf, that one document takes.
    package static let maxSpanBytes = 2 << 20

    private let trace: TraceID
    private let maxSpanBytes: Int
    private var output = GrowingBytes()
    private var spanBytes = 0
    /// The spans that were written, because a request that was sent again has them twice.
    private var written: Set<SpanID> = []
    private var leftOut = 0

    package init(of trace: TraceID, maxSpanBytes: Int = Self.maxSpanBytes) {
        self.trace = trace
        self.maxSpanBytes = maxSpanBytes
        output.append("{\"resourceSpans\":[" as StaticString)
    }

    /// Returns the document, or nil where no request had a span of the trace. The member `leftOutSpans`, which is not
    /// OTLP's, has the number of spans beyond the limit.
    package consuming func finish() -> [UInt8]? {
        if written.isEmpty { return nil }
        output.append(UInt8(ascii: "]"))
        if leftOut > 0 { output.append(",\"leftOutSpans\":\(leftOut)") }
        output.append("}\n" as StaticString)
        return [UInt8](output.bytes)
    }

    /// Adds the trace's spans of a request that the scanner has accepted.
    package mutating func add(_ request: UnsafeRawBufferPointer) {
        let start = output.count
        do throws(WireError) {
            var resources: [WireReader] = []
            try RequestTraces.forEach(1, of: WireReader(request)) { resources.append($0) }
            for resourceSpans in resources { try add(resourceSpans: resourceSpans) }
        } catch {
            // The scanner never accepted this request.
            output.truncate(to: start)
        }
    }

    private struct Scope {
        let message: WireReader
        let spans: [WireReader]
    }

    private mutating func add(resourceSpans: WireReader) throws(WireError) {
        var messages: [WireReader] = []
        try RequestTraces.forEach(2, of: resourceSpans) { messages.append($0) }
        var scopes: [Scope] = []
        for message in messages {
            let spans = try takeSpans(of: message)
            if !spans.isEmpty { scopes.append(Scope(message: message, spans: spans)) }
        }
        if scopes.isEmpty { return }
        if output.bytes.last != UInt8(ascii: "[") { output.append(UInt8(ascii: ",")) }
        try MessageJSONWriter.write([resourceSpans], .resourceSpans, without: 2, to: &output) {
            output, isFirst throws(WireError) in
            try Self.array("scopeSpans", isFirst: isFirst, elements: scopes, to: &output) {
                scope, output throws(WireError) in
                try MessageJSONWriter.write([scope.message], .scopeSpans, without: 2, to: &output) {
                    output, isFirst throws(WireError) in
                    try Self.array("spans", isFirst: isFirst, elements: scope.spans, to: &output) {
                        span, output throws(WireError) in
                        try MessageJSONWriter.write([span], .span, to: &output)
                    }
                }
            }
        }
    }

    private static func array<Element>(
        _ key: String, isFirst: Bool, elements: [Element], to output: inout GrowingBytes,
        write: (Element, inout GrowingBytes) throws(WireError) -> Void
    ) throws(WireError) {
        var isFirst = isFirst
        MessageJSONWriter.key(Array(key.utf8), isFirst: &isFirst, to: &output)
        output.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            try write(element, &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    /// Returns the spans of the trace that were not written yet and fit.
    private mutating func takeSpans(of scopeSpans: WireReader) throws(WireError) -> [WireReader] {
        var all: [WireReader] = []
        try RequestTraces.forEach(2, of: scopeSpans) { all.append($0) }
        var taken: [WireReader] = []
        for span in all {
            let ids = try RequestTraces.ids(of: span)
            guard ids.trace == trace, !written.contains(ids.span) else { continue }
            let size = span.end - span.position
            if spanBytes + size > maxSpanBytes {
                leftOut += 1
                continue
            }
            spanBytes += size
            written.insert(ids.span)
            taken.append(span)
        }
        return taken
    }
}
