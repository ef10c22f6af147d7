package import Model
import ProtobufWire

/// A span that the collector makes itself.
package struct MadeSpan: Sendable {
    package enum Value: Sendable {
        case text(ForeignText)
        case integer(Int64)
        case double(Double)
    }

    package var reference: SpanReference
    package var parent: SpanID
    package var name: ForeignText
    package var startNanoseconds: UInt64
    package var endNanoseconds: UInt64
    package var attributes: [(key: String, value: Value)] = []
    package var links: [SpanReference] = []
    /// The error of the span; nil where all is well.
    package var errorMessage: ForeignText?
    /// The W3C trace state, as the parent's.
    package var traceState: [UInt8] = []

    package init(
        reference: SpanReference, parent: SpanID, name: ForeignText, startNanoseconds: UInt64, endNanoseconds: UInt64
    ) {
        self.reference = reference
        self.parent = parent
        self.name = name
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = max(startNanoseconds, endNanoseconds)
    }

    /// Returns an id that the same parts always lead to, whatever the process: a span that is sent again has the same
    /// id.
    package static func id(_ parts: [UInt8]...) -> SpanID {
        // FNV-1a leaves the top bits alike, so the finalizer of MurmurHash3 follows.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in parts {
            for byte in part + [0xFF] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
        hash ^= hash >> 33
        return SpanID(hash == 0 ? 1 : hash)
    }

    /// The name of the service in these spans.
    private static let serviceName = ForeignText("asynq")

    /// Returns an ExportTraceServiceRequest: 1 resource_spans { 1 resource { 1 attributes }, 2 scope_spans { 1 scope {
    /// 1 name }, 2 spans } }.
    package static func request(_ spans: [MadeSpan]) -> [UInt8] {
        var request = WireWriter()
        request.message(1) { resourceSpans in
            resourceSpans.message(1) { $0.message(1) { put("service.name", .text(serviceName), into: &$0) } }
            resourceSpans.message(2) { scopeSpans in
                scopeSpans.message(1) { $0.string(1, "asynq-collector") }
                for span in spans { scopeSpans.message(2) { span.write(into: &$0) } }
            }
        }
        return request.bytes
    }

    /// Writes a Span: 1 trace_id, 2 span_id, 3 trace_state, 4 parent_span_id, 5 name, 6 kind (1 internal), 7 start, 8
    /// end, 9 attributes, 13 links, 15 status { 2 message, 3 code (2 error) }, 16 flags (sampled).
    private func write(into writer: inout WireWriter) {
        writer.data(1, reference.trace.bytes)
        writer.data(2, reference.span.bytes)
        writer.data(3, traceState)
        if parent.isValid { writer.data(4, parent.bytes) }
        writer.string(5, name.text)
        writer.varint(6, 1)
        writer.fixed64(7, startNanoseconds)
        writer.fixed64(8, endNanoseconds)
        for (key, value) in attributes { writer.message(9) { Self.put(key, value, into: &$0) } }
        for link in links {
            writer.message(13) {
                $0.data(1, link.trace.bytes)
                $0.data(2, link.span.bytes)
            }
        }
        if let errorMessage {
            writer.message(15) {
                $0.string(2, errorMessage.text)
                $0.varint(3, 2)
            }
        }
        writer.fixed32(16, 1)
    }

    /// Writes a KeyValue: 1 key, 2 value { 1 string, 3 int, 4 double }. Texts from outside become UTF-8, as proto3
    /// demands.
    private static func put(_ key: String, _ value: Value, into writer: inout WireWriter) {
        writer.string(1, key)
        writer.message(2) { any in
            switch value {
            case .text(let text): any.data(1, text.text.utf8)
            case .integer(let number):
                any.tag(3, .varint)
                any.rawVarint(UInt64(bitPattern: number))
            case .double(let number):
                any.tag(4, .fixed64)
                withUnsafeBytes(of: number.bitPattern.littleEndian) { any.raw($0) }
            }
        }
    }
}
