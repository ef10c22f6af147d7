import Model
import ProtobufWire
import Testing

@testable import OTLP

@Suite("Spans that the collector makes")
struct MadeSpanTests {
    @Test("An id follows from its parts alone, and from where one ends")
    func ids() {
        // FNV-1a over each part and a byte 0xFF, then MurmurHash3's finalizer, computed elsewhere.
        #expect(MadeSpan.id(Array("a".utf8), Array("b".utf8)).hex == "d1cc471618320c9c")
        #expect(MadeSpan.id(Array("ab".utf8)).hex == "ac5bc11da938a7ec")
        #expect(MadeSpan.id().hex == "efd01f60ba992926")
    }

    @Test("Each field of a span is written; one without an error has no status", arguments: [nil, "no route"])
    func fields(error: String?) {
        let trace = TraceID(high: 1, low: 2)
        var span = MadeSpan(
            reference: SpanReference(trace: trace, span: SpanID(3)), parent: SpanID(4), name: ForeignText("wait"),
            startNanoseconds: 10, endNanoseconds: 5)
        #expect(span.endNanoseconds == 10, "no span ends before it begins")
        span.endNanoseconds = 20
        span.attributes = [
            ("text", .text(ForeignText("x"))), ("integer", .integer(-1)), ("double", .double(0.5)),
        ]
        span.links = [SpanReference(trace: trace, span: SpanID(6))]
        span.errorMessage = error.map { ForeignText($0) }
        span.traceState = Array("a=b".utf8)
        func attribute(_ key: String, _ value: (inout WireWriter) -> Void) -> [UInt8] {
            var writer = WireWriter()
            writer.string(1, key)
            writer.message(2, value)
            return writer.bytes
        }
        var content = WireWriter()
        content.data(1, trace.bytes)
        content.data(2, SpanID(3).bytes)
        content.data(3, Array("a=b".utf8))
        content.data(4, SpanID(4).bytes)
        content.string(5, "wait")
        content.varint(6, 1)
        content.fixed64(7, 10)
        content.fixed64(8, 20)
        content.message(9, attribute("text") { $0.string(1, "x") })
        content.message(
            9,
            attribute("integer") {
                $0.tag(3, .varint)
                $0.rawVarint(.max)
            })
        content.message(9, attribute("double") { $0.fixed64(4, 0.5.bitPattern) })
        content.message(13) {
            $0.data(1, trace.bytes)
            $0.data(2, SpanID(6).bytes)
        }
        if let error {
            content.message(15) {
                $0.string(2, error)
                $0.varint(3, 2)
            }
        }
        content.fixed32(16, 1)
        var request = WireWriter()
        request.message(1) { resourceSpans in
            resourceSpans.message(1) { $0.message(1, attribute("service.name") { $0.string(1, "asynq") }) }
            resourceSpans.message(2) { scopeSpans in
                scopeSpans.message(1) { $0.string(1, "asynq-collector") }
                scopeSpans.message(2, content.bytes)
            }
        }
        #expect(MadeSpan.request([span]) == request.bytes)
    }

    @Test(
        "Texts in the JSON of a trace are escaped where they have to be",
        arguments: ["a\\b", "a\"b", "a/b", "ä", "a\u{7F}"])
    func escaped(name: String) throws {
        let trace = TraceID(high: 1, low: 2)
        let span = MadeSpan(
            reference: SpanReference(trace: trace, span: SpanID(3)), parent: .none, name: ForeignText(name),
            startNanoseconds: 1, endNanoseconds: 2)
        var document = TraceDocument(of: trace)
        MadeSpan.request([span]).withUnsafeBytes { document.add($0) }
        let bytes = document.finish()
        let text = String(decoding: try #require(bytes), as: UTF8.self)
        let quoted = name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        #expect(text.contains("\"name\":\"\(quoted)\"") || name == "a\u{7F}")
        var converter = JSONRequestConverter()
        let isRead = try Array(text.utf8).withUnsafeBytes { body throws(MalformedJSON) in
            try converter.convert(body) { !$0.isEmpty }
        }
        #expect(isRead)
    }

    @Test("The message of a google.rpc.Status is its field 2, whatever stands before and behind it")
    func statusMessage() {
        func message(_ bytes: [UInt8]) -> String? { bytes.withUnsafeBytes { readRPCStatusMessage($0) } }
        #expect(message([0x08, 3, 0x12, 3, 0x77, 0x68, 0x79, 0x1A, 2, 0x0A, 0]) == "why")
        #expect(message([0x08, 3, 0x1A, 2, 0x0A, 0]) == nil)
        #expect(message([0x10, 3]) == nil && message([]) == nil)
    }
}
