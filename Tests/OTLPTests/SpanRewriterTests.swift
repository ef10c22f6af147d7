import OTLP
import TestSupport
import Testing

@Suite("Taking refused spans out of a request")
struct SpanRewriterTests {
    private static let good = ids + kind(5) + attribute("queue", "q")
    private static let bad = kind(5) + attribute("queue", "bad")
    private static let resource = Field.message(1, Field.bytes(1, keyValue("service.name", Value.text("s"))))
    private static let scope = Field.message(1, Field.text(1, "scope"))
    private static let unknown = Field.group(900, Field.int(1, 1)) + Field.text(901, "kept")

    private func rewritten(_ body: [UInt8]) throws -> [UInt8] {
        let refused = try Scanned(body).refused
        return try body.withUnsafeBytes { try SpanRewriter.removing(refused, from: $0) }
    }

    /// The request without the spans that are nil, made from its parts instead of from its bytes.
    private func build(_ resources: [[[[UInt8]?]]]) -> [UInt8] {
        resources.flatMap { scopes in
            Field.message(
                1, Self.unknown, Self.resource,
                scopes.flatMap { spans in
                    Field.message(
                        2, Self.scope, spans.flatMap { $0.map { Field.bytes(2, $0) } ?? [] }, Self.unknown,
                        Field.text(3, "url"))
                }, Field.text(3, "url"), Self.unknown)
        } + Self.unknown
    }

    private func check(_ resources: [[[[UInt8]]]]) throws {
        let kept = resources.map { $0.map { $0.map { span in span == Self.good ? span : nil } } }
        let result = try rewritten(build(resources))
        #expect(result == build(kept))
        #expect(try Scanned(result).refused.isEmpty)
        #expect(try Scanned(result).spanCount == kept.joined().joined().filter { $0 != nil }.count)
    }

    @Test("nothing refused leaves the bytes as they are")
    func nothing() throws {
        try check([[[Self.good, Self.good]]])
        #expect(try rewritten([]) == [])
    }

    @Test("one span is taken out from the beginning, the middle and the end")
    func one() throws {
        try check([[[Self.bad, Self.good, Self.good]]])
        try check([[[Self.good, Self.bad, Self.good]]])
        try check([[[Self.good, Self.good, Self.bad]]])
    }

    @Test("several of one scope and all of one scope are taken out; the empty scope stays")
    func several() throws {
        try check([[[Self.bad, Self.good, Self.bad, Self.bad, Self.good]]])
        try check([[[Self.bad, Self.bad], [Self.good]]])
        try check([[[Self.good], [Self.bad]], [[Self.bad]]])
    }

    @Test("bad ids in different scopes and resources are all taken out")
    func spread() throws {
        try check([
            [[Self.good], [Self.bad, Self.good]], [[Self.good, Self.good]], [[Self.bad], [], [Self.good, Self.bad]],
            [[]],
        ])
    }

    @Test("empty spans are taken out, and the empty messages beside them stay")
    func emptySpans() throws {
        try check([[[], [[]], [[], Self.good, []], []], []])
        try check([[[[]]]])
    }

    @Test("lengths shrink where they need fewer bytes")
    func shorterLengths() throws {
        let long = kind(5) + attribute("k", String(repeating: "x", count: 20_000))
        try check([[[long, Self.good]]])
        try check([[[long, long], [long]]])
    }

    @Test("a link's or parent's bad id takes its span out")
    func badLink() throws {
        try check([[[ids + kind(5) + Field.bytes(4, [1]), Self.good, ids + Field.message(13, Field.bytes(1, [1]))]]])
    }

    @Test("as many refused spans as are taken cost no more than a pass over them")
    func many() throws {
        let body = request([[UInt8]](repeating: [], count: SpanScanner.maxSpans - 1) + [Self.good])
        #expect(try rewritten(body) == request([Self.good]))
    }

    @Test("random requests with random bad spans are the same as built without them")
    func random() throws {
        var random = SeededGenerator.fresh(for: "span rewriter")
        for _ in 0..<200 {
            try check(
                (0..<Int.random(in: 0...3, using: &random)).map { _ in
                    (0..<Int.random(in: 0...3, using: &random)).map { _ in
                        (0..<Int.random(in: 0...5, using: &random)).map { _ in
                            [Self.good, Self.good, Self.bad, []].randomElement(using: &random) ?? []
                        }
                    }
                })
        }
    }
}
