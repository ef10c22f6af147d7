import Model
import OTLP
import ProtobufWire
import Testing

@Suite("Requests that are none")
struct MalformedRequestTests {
    /// A span of field 6 with the wrong wire type.
    private static let broken = ids + Field.text(6, "consumer")
    private static let good = ids + kind(5)
    /// Eleven bytes that all say that more follow.
    private static let endless = [UInt8](repeating: 0xFF, count: 10) + [1]

    private func scope(_ spans: [[UInt8]]) -> [UInt8] {
        Field.bytes(2, spans.flatMap { Field.bytes(2, $0) })
    }

    @Test("the error names the resource, the scope, the span and the byte")
    func path() throws {
        let body =
            request([Self.good]) + Field.message(1, scope([]), scope([Self.good, Self.good, Self.broken, Self.good]))
        let error = try #require(malformed(body))
        #expect(error.path == "resource_spans[1].scope_spans[1].spans[2]")
        #expect(error.cause.reason == .wrongWireType)
        // The byte behind the tag of the bad field.
        let needle = Field.text(6, "consumer")
        let tail = try #require(body.indices.last { body[$0...].starts(with: needle) })
        #expect(error.cause.offset == tail + 1)
        #expect(
            "\(error)"
                == "resource_spans[1].scope_spans[1].spans[2]: a field has another wire type than its definition "
                + "(at byte \(tail + 1))")
    }

    @Test("more spans than are taken at once are too many, however small")
    func tooMany() throws {
        let spans = (0..<SpanScanner.maxSpans).flatMap { _ in [0x12, 0] as [UInt8] }
        #expect(malformed(Field.message(1, Field.bytes(2, spans))) == nil)
        #expect(malformed(Field.message(1, Field.bytes(2, spans + [0x12, 0])))?.cause.reason == .tooMany)
        let bad = Field.bytes(2, Self.endless)
        #expect(malformed(Field.message(1, Field.bytes(2, spans + bad)))?.cause.reason == .tooMany)
    }

    @Test("an entity of a resource is checked, because Tempo reads it")
    func entities() {
        let good = Field.message(
            3, Field.text(1, "url"), Field.text(2, "host"), Field.text(3, "id"), Field.text(4, "d"))
        #expect(malformed(Field.message(1, Field.bytes(1, good))) == nil)
        for broken in [Field.int(3, 1), Field.bytes(3, [0xFF]), Field.message(3, Field.int(2, 1))] {
            #expect(malformed(Field.message(1, Field.bytes(1, broken))) != nil)
        }
    }

    @Test("an error in the request itself, behind good resources, names no span")
    func requestLevel() throws {
        let error = try #require(malformed(request([Self.good]) + [0x07]))
        #expect(error.path == "")
        #expect(error.description.hasPrefix("request: "))
        #expect(error.cause.offset == request([Self.good]).count)
        #expect(malformed([0xFF])?.path == "")
    }

    @Test("an error in a resource or scope, behind good spans, names no span")
    func outerLevels() throws {
        let inResource = Field.message(1, scope([Self.good]), Field.message(1, Field.int(1, 1)))
        #expect(malformed(inResource)?.path == "resource_spans[0]")
        let behindScope = Field.message(1, scope([Self.good]), [0x07])
        #expect(malformed(behindScope)?.path == "resource_spans[0]")
        let inScope = Field.message(1, Field.message(2, Field.bytes(2, Self.good), Field.message(1, Field.int(3, 1))))
        #expect(malformed(inScope)?.path == "resource_spans[0].scope_spans[0]")
        let second = request([Self.good]) + Field.message(1, [0x07])
        #expect(malformed(second)?.path == "resource_spans[1]")
    }

    @Test(
        "a known field with another wire type is refused, also one that nobody here reads",
        arguments: [
            Field.int(1, 1), Field.int(2, 1), Field.int(3, 1), Field.int(4, 1), Field.int(5, 1), Field.text(6, "x"),
            Field.int(7, 1), Field.fixed32(8, 1), Field.int(9, 1), Field.text(10, "x"), Field.int(11, 1),
            Field.text(12, "x"),
            Field.fixed64(13, 1), Field.fixed32(14, 1), Field.int(15, 1), Field.int(16, 1),
            Field.message(9, Field.int(1, 1)), Field.message(9, Field.text(1, "k"), Field.int(2, 1)),
            Field.message(9, Field.message(2, Field.int(1, 1))), Field.message(9, Field.message(2, Field.text(2, "x"))),
            Field.message(9, Field.message(2, Field.text(3, "x"))), Field.message(9, Field.message(2, Field.int(4, 1))),
            Field.message(9, Field.message(2, Field.int(5, 1))), Field.message(9, Field.message(2, Field.int(6, 1))),
            Field.message(9, Field.message(2, Field.int(7, 1))),
            Field.message(9, Field.message(2, Field.message(5, Field.int(1, 1)))),
            Field.message(9, Field.message(2, Field.message(6, Field.int(1, 1)))),
            Field.message(9, Field.message(2, Field.message(6, Field.message(1, Field.int(1, 1))))),
            Field.message(11, Field.int(1, 1)), Field.message(11, Field.int(2, 1)), Field.message(11, Field.int(3, 1)),
            Field.message(11, Field.text(4, "x")), Field.message(13, Field.int(1, 1)),
            Field.message(13, Field.int(2, 1)),
            Field.message(13, Field.int(3, 1)), Field.message(13, Field.int(4, 1)),
            Field.message(13, Field.text(5, "x")),
            Field.message(13, Field.int(6, 1)), Field.message(15, Field.int(2, 1)),
            Field.message(15, Field.text(3, "x")),
        ])
    func wrongWireType(field: [UInt8]) {
        #expect(malformed(request(ids, kind(5), field))?.cause.reason == .wrongWireType)
    }

    @Test("every truncation gives an error or fewer spans, never more than were whole")
    func truncations() throws {
        let spans = [Self.good + attribute("queue", "q"), Self.good, ids + kind(4)]
        let first = request(spans)
        let body = first + request(spans)
        #expect(try Scanned(body).spanCount == 6)
        for count in 0...body.count {
            let prefix = Array(body[..<count])
            if [0, first.count, body.count].contains(count) {
                #expect(try Scanned(prefix).spanCount == (count == 0 ? 0 : count == first.count ? 3 : 6))
            } else {
                let error = try #require(malformed(prefix), "the first \(count) bytes were taken")
                #expect(error.cause.offset <= count)
            }
        }
    }

    @Test("a value nested 64 deep is taken, deeper ones are refused whatever they are made of")
    func depth() throws {
        func nested(_ depth: Int, _ wrap: ([UInt8]) -> [UInt8]) -> [UInt8] {
            (0..<depth).reduce(Value.int(1)) { value, _ in wrap(value) }
        }
        let wraps: [([UInt8]) -> [UInt8]] = [{ Value.array($0) }, { Value.map(keyValue("k", $0)) }]
        for wrap in wraps {
            func inSpan(_ depth: Int) -> [UInt8] { request(Self.good, attribute("k", nested(depth, wrap))) }
            func inResource(_ depth: Int) -> [UInt8] {
                Field.message(1, Field.message(1, Field.bytes(1, keyValue("k", nested(depth, wrap)))))
            }
            #expect(malformed(inSpan(SpanScanner.maxValueDepth)) == nil)
            #expect(malformed(inSpan(SpanScanner.maxValueDepth + 1))?.cause.reason == .tooDeep)
            #expect(malformed(inSpan(3000))?.cause.reason == .tooDeep)
            #expect(malformed(inResource(SpanScanner.maxValueDepth)) == nil)
            #expect(malformed(inResource(SpanScanner.maxValueDepth + 1))?.cause.reason == .tooDeep)
        }
    }

    @Test(
        "a number that is none costs its span and no other, wherever it stands in the span",
        arguments: [
            Field.varint(10 * 8) + endless, Field.varint(6 * 8) + endless, Field.varint(15 * 8 + 2) + endless,
            Field.message(9, Field.text(1, "k"), Field.bytes(2, Field.varint(3 * 8) + endless)),
            Field.message(11, Field.varint(4 * 8) + endless), Field.message(15, Field.varint(3 * 8) + endless), endless,
            // What follows it in the span is never read.
            Field.message(11, Field.varint(4 * 8) + endless) + [0], endless + [0x0A, 0x7F],
            Field.message(9, Field.bytes(2, Field.varint(3 * 8) + endless)) + Field.varint(13 * 8 + 4),
        ])
    func endlessNumber(field: [UInt8]) throws {
        let body = request([Self.good, Self.good + field, Self.good])
        var scanner = SpanScanner()
        try body.withUnsafeBytes { try scanner.scan($0) }
        #expect(scanner.spanCount == 3 && scanner.taskSpans.count == 2)
        #expect(scanner.refused.map { Array(body[$0]) } == [Self.good + field] && scanner.badValues == 1)
        let told = scanner.firstBadValue?.description ?? ""
        #expect(
            told.hasPrefix("resource_spans[0].scope_spans[0].spans[1]: a varint is longer than 10 bytes"), "\(told)")
        try body.withUnsafeBytes { bytes in
            SpanScanner.checkInvariants(bytes)
            let counts = try SpanRewriter.spanCounts(of: Set(scanner.taskSpans.map(\.reference.trace)), in: bytes)
            #expect(counts.values.reduce(0, +) >= 2)
        }
        #expect(malformed(body + [0x0A] + Self.endless) != nil, "outside of a span it is no request")
    }

    @Test("a number beyond the range of its field is cut, as every protobuf reader does, and costs nothing")
    func cutNumber() throws {
        let fields =
            Field.int(10, .max) + Field.int(12, 1 << 32) + Field.int(14, .max) + Field.message(15, Field.int(3, .max))
        #expect(try Scanned(request([Self.good + fields])).tasks.count == 1)
        #expect(try Scanned(request([Self.good + fields])).refused.isEmpty)
    }

    @Test("text that is no protobuf is refused")
    func otherFormats() {
        for text in ["{}", "{\"resourceSpans\":[]}", "<html>", "hello"] {
            #expect(malformed(Array(text.utf8)) != nil, "\(text)")
        }
    }
}
