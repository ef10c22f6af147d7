import Foundation
import Model
import ProtobufWire
import Testing

@testable import OTLP

@Suite("A trace as OTLP/JSON")
struct TraceDocumentTests {
    private static let trace = traceBytes.withUnsafeBytes { TraceID($0) } ?? .none

    private func document(_ requests: [UInt8]..., of trace: TraceID = trace, maxSpanBytes: Int = .max) -> String? {
        var document = TraceDocument(of: trace, maxSpanBytes: maxSpanBytes)
        for request in requests { request.withUnsafeBytes { document.add($0) } }
        return document.finish().map { String(decoding: $0, as: UTF8.self) }
    }

    private static func span(_ id: UInt8, trace: [UInt8] = traceBytes, _ fields: [UInt8]...) -> [UInt8] {
        Field.bytes(1, trace) + Field.bytes(2, [0, 0, 0, 0, 0, 0, 0, id]) + fields.flatMap { $0 }
    }

    @Test("Every field of a span has its place and its form")
    func fields() {
        let span =
            ids + Field.text(3, "k=v") + Field.bytes(4, [0, 0, 0, 0, 0, 0, 0, 9])
            + Field.text(5, "a \"name\"\n\u{1F600}")
            + kind(5) + Field.fixed64(7, 1_795_197_881_000_000_001) + Field.fixed64(8, .max) + Field.int(10, 1)
            + Field.message(
                11, Field.fixed64(1, 7), Field.text(2, "exception"), Field.message(3, keyValue("e", Value.bool(true))))
            + Field.int(12, 2)
            + Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes), Field.fixed32(6, 257))
            + Field.int(14, 3) + Field.message(15, Field.text(2, "bad"), Field.int(3, 2)) + Field.fixed32(16, 1)
        let request = Field.message(
            1, Field.message(1, Field.message(1, keyValue("service.name", Value.text("w")))),
            Field.message(
                2, Field.message(1, Field.text(1, "lib"), Field.text(2, "1")), Field.bytes(2, span), Field.text(3, "s")),
            Field.text(3, "r"))
        let id = "0102030405060708090a0b0c0d0e0f10"
        #expect(
            document(request) == """
                {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"w"}}]},\
                "schemaUrl":"r","scopeSpans":[{"scope":{"name":"lib","version":"1"},"schemaUrl":"s","spans":[\
                {"traceId":"\(id)","spanId":"a1a2a3a4a5a6a7a8","traceState":"k=v","parentSpanId":"0000000000000009",\
                "name":"a \\"name\\"\\n\u{1F600}","kind":5,"startTimeUnixNano":"1795197881000000001",\
                "endTimeUnixNano":"18446744073709551615","droppedAttributesCount":1,\
                "events":[{"timeUnixNano":"7","name":"exception","attributes":[{"key":"e","value":{"boolValue":true}}]}],\
                "droppedEventsCount":2,"links":[{"traceId":"\(id)","spanId":"a1a2a3a4a5a6a7a8","flags":257}],\
                "droppedLinksCount":3,"status":{"message":"bad","code":2},"flags":1}]}]}]}

                """)
    }

    @Test(
        "Each kind of value has its form",
        arguments: [
            (Value.text("x"), #"{"stringValue":"x"}"#), (Value.text(""), #"{"stringValue":""}"#),
            (Value.bool(false), #"{"boolValue":false}"#), (Value.int(-5), #"{"intValue":"-5"}"#),
            (Value.int(.min), #"{"intValue":"-9223372036854775808"}"#), (Value.double(2.5), #"{"doubleValue":2.5}"#),
            (Value.double(.nan), #"{"doubleValue":"NaN"}"#),
            (Value.double(-.infinity), #"{"doubleValue":"-Infinity"}"#),
            (Value.bytes([0xFB, 0xFF]), #"{"bytesValue":"+/8="}"#), (Value.bytes([]), #"{"bytesValue":""}"#),
            (Value.array(), #"{"arrayValue":{}}"#),
            (
                Value.array(Value.int(1), Value.text("a")),
                #"{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"a"}]}}"#
            ),
            (
                Value.map(keyValue("k", Value.int(1))),
                #"{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}"#
            ),
            // Of several kinds it has the last one; without any it is empty.
            (Value.int(1) + Value.text("a"), #"{"stringValue":"a"}"#), ([], "{}"),
            (Field.bytes(1, [0x61, 0xFF]), "{\"stringValue\":\"a\u{FFFD}\"}"),
        ])
    func values(value: [UInt8], json: String) {
        let found = document(request(ids, attribute("k", value)))
        #expect(found?.contains(#""attributes":[{"key":"k","value":\#(json)}]"#) == true, "\(found ?? "")")
    }

    @Test("Spans of other traces, and scopes and resources without any, are left out")
    func others() throws {
        let other = [UInt8](repeating: 7, count: 16)
        let scopes = [
            Field.message(2, Field.text(3, "none"), Field.bytes(2, Self.span(1, trace: other))),
            Field.message(
                2, Field.text(3, "some"), Field.bytes(2, Self.span(2)), Field.bytes(2, Self.span(3, trace: other)),
                Field.bytes(2, Self.span(4))),
        ]
        let request = Field.bytes(1, scopes[0]) + Field.bytes(1, scopes[0] + scopes[1])
        let found = try #require(document(request))
        let spans = try spansByScope(found)
        #expect(spans == ["some": ["0000000000000002", "0000000000000004"]])
        #expect(document(request, of: TraceID(high: 1, low: 1)) == nil)
        #expect(document() == nil)
    }

    /// The ids of the spans by the schema of their scope.
    private func spansByScope(_ text: String) throws -> [String: [String]] {
        let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let resources = try #require(json["resourceSpans"] as? [[String: Any]])
        let scopes = resources.flatMap { $0["scopeSpans"] as? [[String: Any]] ?? [] }
        return Dictionary(
            scopes.map { scope in
                let spans = scope["spans"] as? [[String: Any]] ?? []
                return (scope["schemaUrl"] as? String ?? "", spans.compactMap { $0["spanId"] as? String })
            }, uniquingKeysWith: +)
    }

    @Test("A span that came twice stands once, and those beyond the limit are counted")
    func limits() throws {
        let first = request([Self.span(1), Self.span(2)])
        let twice = try #require(document(first, first))
        #expect(try spansByScope(twice) == ["": ["0000000000000001", "0000000000000002"]])
        let cut = try #require(document(first, maxSpanBytes: Self.span(1).count))
        #expect(try spansByScope(cut) == ["": ["0000000000000001"]])
        #expect(cut.hasSuffix(#"],"leftOutSpans":1}"# + "\n"))
    }

    @Test("What the Go SDK sent becomes JSON that becomes the same spans again")
    func roundTrip() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/otlp-go-sdk")
        var traces: Set<TraceID> = []
        var count = 0
        for number in 0..<44 {
            let digits = String(number)
            let name = String(repeating: "0", count: 3 - digits.count) + digits + ".pb"
            let body = [UInt8](try Data(contentsOf: folder.appending(path: name)))
            for trace in Set(body.withUnsafeBytes { RequestTraces.ids(in: $0) }) {
                var document = TraceDocument(of: trace)
                body.withUnsafeBytes { document.add($0) }
                let json = document.finish()
                let again = try converted(try #require(json))
                let expected = try spans(of: body, trace)
                #expect(try spans(of: again, trace) == expected)
                count += expected.count
                traces.insert(trace)
            }
        }
        #expect(count == 1012 && traces.count > 100)
    }

    /// The bytes of the spans of a trace, in their order.
    private func spans(of body: [UInt8], _ trace: TraceID) throws -> [[UInt8]] {
        try body.withUnsafeBytes { body in
            var found: [[UInt8]] = []
            try RequestTraces.forEach(1, of: .init(body)) { resource throws(WireError) in
                try RequestTraces.forEach(2, of: resource) { scope throws(WireError) in
                    try RequestTraces.forEach(2, of: scope) { span throws(WireError) in
                        if try RequestTraces.ids(of: span).trace == trace {
                            found.append(Array(body[span.position..<span.end]))
                        }
                    }
                }
            }
            return found
        }
    }
}
