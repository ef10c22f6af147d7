import ProtobufWire
import TestSupport
import Testing

@testable import OTLP

/// Requests here are made with field numbers alone: the splitter looks at nothing else.
@Suite("Splitting a request by spans")
struct RequestSplitterTests {
    private static func spans(_ range: Range<Int>, of body: [UInt8]) throws -> [UInt8] {
        try body.withUnsafeBytes { bytes throws(WireError) in try RequestSplitter.request(bytes, spans: range) }
    }

    /// One resource after the other, each a list of scopes, each a list of spans (their names).
    private static func request(_ resources: [[[String]]]) -> [UInt8] {
        var writer = WireWriter()
        for (number, scopes) in resources.enumerated() {
            writer.message(1) { resource in
                resource.string(3, "schema \(number)")
                for spans in scopes {
                    resource.message(2) { scope in
                        scope.string(1, "scope of \(number)")
                        for name in spans { scope.message(2) { $0.string(5, name) } }
                        scope.string(77, "unknown")
                    }
                }
                resource.string(1, "resource \(number)")
            }
        }
        writer.string(99, "unknown")
        return writer.bytes
    }

    @Test("The first half has the first half of the spans, below the same resources and scopes")
    func halves() throws {
        let body = Self.request([[["a", "b"], ["c"]], [["d", "e", "f"]]])
        #expect(try Self.spans(0..<3, of: body) == Self.request([[["a", "b"], ["c"]]]))
        // The second resource keeps its number: made apart.
        let whole = Self.request([[], [["d", "e", "f"]]])
        let empty = Self.request([[]])
        #expect(try Self.spans(3..<6, of: body) == Array(whole.dropFirst(empty.count - Self.request([]).count)))
    }

    @Test("A scope that straddles the middle stands in both halves")
    func straddling() throws {
        let body = Self.request([[["a", "b", "c", "d", "e"]]])
        #expect(try Self.spans(0..<2, of: body) == Self.request([[["a", "b"]]]))
        #expect(try Self.spans(2..<5, of: body) == Self.request([[["c", "d", "e"]]]))
    }

    @Test("Split anywhere, every span is there once, in order", arguments: 1...30 as ClosedRange<UInt64>)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var names: [String] = []
        let resources = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            (0..<Int.random(in: 0...3, using: &random)).map { _ in
                (0..<Int.random(in: 0...5, using: &random)).map { _ -> String in
                    names.append("span \(names.count)")
                    return names[names.count - 1]
                }
            }
        }
        let body = Self.request(resources)
        var found: [String] = []
        var start = 0
        while start < names.count {
            let end = Int.random(in: start + 1...names.count, using: &random)
            let part = try Self.spanNames(try Self.spans(start..<end, of: body))
            #expect(part.count == end - start)
            found += part
            start = end
        }
        #expect(found == names)
    }

    private static func spanNames(_ body: [UInt8]) throws -> [String] {
        try body.withUnsafeBytes { bytes throws(WireError) in
            var names: [String] = []
            try each(1, in: WireReader(bytes)) { resource throws(WireError) in
                try each(2, in: resource) { scope throws(WireError) in
                    try each(2, in: scope) { span throws(WireError) in
                        var reader = span
                        _ = try reader.tag()
                        names.append(String(decoding: try reader.bytes(), as: UTF8.self))
                    }
                }
            }
            return names
        }
    }

    private static func each(
        _ wanted: Int, in message: WireReader, _ body: (WireReader) throws(WireError) -> Void
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

    @Test("Bytes that are no request throw, and crash nothing", arguments: 1...200 as ClosedRange<UInt64>)
    func garbage(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var body = Self.request([[["a", "b"], ["c"]], [["d", "e", "f"]]])
        for _ in 0..<3 {
            body[Int.random(in: 0..<body.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        _ = try? Self.spans(1..<4, of: body)
    }
}
