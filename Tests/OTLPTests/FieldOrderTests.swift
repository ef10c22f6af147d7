import Model
import OTLP
import TestSupport
import Testing

@Suite("Order, repetition and unknown fields")
struct FieldOrderTests {
    private static let fields: [[UInt8]] = [
        Field.bytes(1, traceBytes), Field.bytes(2, spanBytes), Field.text(3, "vendor=1"), Field.bytes(4, spanBytes),
        Field.text(5, "process q"), kind(5), Field.fixed64(7, 1000), Field.fixed64(8, 2000),
        attribute("messaging.destination.name", "q"), attribute("asynq.task.type", "t"), Field.int(10, 3),
        Field.message(11, Field.fixed64(1, 5), Field.text(2, "event"), Field.bytes(3, keyValue("k", Value.int(1)))),
        Field.int(12, 1), Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes)), Field.int(14, 1),
        Field.message(15, Field.text(2, "failed"), Field.int(3, 2)), Field.fixed32(16, 1),
    ]
    /// Unknown fields of every wire type.
    private static let unknown: [[UInt8]] = [
        Field.int(500, 7), Field.fixed64(501, 7), Field.text(502, "new"), Field.fixed32(503, 7),
        Field.group(504, Field.int(1, 1), Field.group(2, Field.text(9, "deep"))),
    ]

    private func check(_ body: [UInt8]) throws {
        let scanned = try Scanned(body)
        #expect(scanned.spanCount == 1)
        let task = try #require(scanned.tasks.first)
        #expect(task.role == .process)
        #expect(task.parent == task.reference.span)
        #expect(task.link == task.reference)
        #expect(task.startNanoseconds == 1000)
        #expect(task.endNanoseconds == 2000)
        #expect(task.isError)
        #expect(scanned.text(task.queue) == "q")
        #expect(scanned.text(task.taskType) == "t")
    }

    @Test("fields may come in order, in reverse and in any other order")
    func anyOrder() throws {
        try check(request(Self.fields.flatMap { $0 }))
        try check(request(Self.fields.reversed().flatMap { $0 }))
        var random = SeededGenerator.fresh(for: "field order")
        for _ in 0..<50 { try check(request(Self.fields.shuffled(using: &random).flatMap { $0 })) }
    }

    @Test("scope and resource may come behind the spans")
    func envelopeReversed() throws {
        let span = Field.bytes(2, Self.fields.flatMap { $0 })
        let scope = Field.message(
            1, Field.text(1, "name"), Field.text(2, "v"), Field.bytes(3, keyValue("k", Value.bool(true))))
        let resource = Field.message(1, Field.bytes(1, keyValue("service.name", Value.text("s"))), Field.int(2, 1))
        let spans = Field.message(2, span, Field.text(3, "url"), scope)
        try check(Field.message(1, Field.text(3, "url"), spans, resource))
        try check(Field.message(1, resource, Field.message(2, scope, span, Field.text(3, "url")), Field.text(3, "url")))
    }

    @Test("unknown fields of every wire type are stepped over, everywhere")
    func unknownFields() throws {
        let extra = Self.unknown.flatMap { $0 }
        let value = Field.message(2, extra, Field.text(1, "q"), extra)
        let queue = Field.message(9, extra, Field.text(1, "messaging.destination.name"), extra, value, extra)
        let link = Field.message(13, extra, Field.bytes(1, traceBytes), extra, Field.bytes(2, spanBytes), extra)
        let status = Field.message(15, extra, Field.int(3, 2), extra)
        let event = Field.message(11, extra, Field.message(3, extra, Field.text(1, "k"), extra), extra)
        var span = extra
        for field in Self.fields + [queue, link, status, event] { span += field + extra }
        let scope = Field.message(1, extra, Field.text(1, "n"), extra)
        let spans = Field.message(2, extra, scope, extra, Field.bytes(2, span), extra)
        let resource = Field.message(1, extra, Field.message(1, extra, Field.text(1, "k"), extra), extra)
        try check(extra + Field.message(1, extra, resource, extra, spans, extra) + extra)
    }

    @Test("of a repeated scalar the last one wins")
    func lastWins() throws {
        let body = request(
            Field.bytes(1, [9]), ids, kind(3), kind(5), Field.fixed64(7, 1), Field.fixed64(7, 2), Field.fixed64(8, 3),
            Field.fixed64(8, 4), Field.fixed32(16, 1), Field.fixed32(16, 0), Field.message(15, Field.int(3, 2)),
            Field.message(15, Field.int(3, 1)), attribute("queue", "first"), attribute("queue", "last"),
            Field.bytes(4, spanBytes), Field.bytes(4, [0, 0, 0, 0, 0, 0, 0, 1]),
            Field.message(13, Field.bytes(1, traceBytes), Field.bytes(2, spanBytes), Field.fixed32(6, 0x300)))
        let scanned = try Scanned(body)
        let task = try #require(scanned.tasks.first)
        #expect(task.startNanoseconds == 2)
        #expect(task.endNanoseconds == 4)
        #expect(task.isLinkSampled, "flags without the bit, which the last ones are, say nothing of the link")
        #expect(!task.isError)
        #expect(scanned.text(task.queue) == "last")
        #expect(task.parent == SpanID(1))
    }

    @Test("a status in two parts is one status")
    func mergedStatus() throws {
        let body = request(ids, kind(5), Field.message(15, Field.int(3, 2)), Field.message(15, Field.text(2, "why")))
        #expect(try Scanned(body).tasks.first?.isError == true)
    }

    @Test("an attribute's value may come before its key, and of two values the last one counts")
    func valueBeforeKey() throws {
        let queue = Field.message(
            9, Field.bytes(2, Value.text("no")), Field.bytes(2, Value.text("q")), Field.text(1, "queue"))
        let scanned = try Scanned(request(ids, kind(5), queue))
        #expect(scanned.tasks.first.map { scanned.text($0.queue) } == "q")
    }

    @Test("an empty body and empty messages hold no spans")
    func emptiness() throws {
        for body in [[], Field.message(1), Field.message(1, Field.message(2)), Field.message(1, Field.message(1))] {
            let scanned = try Scanned(body)
            #expect(scanned.spanCount == 0)
            #expect(scanned.tasks.isEmpty && scanned.refused.isEmpty)
        }
    }

    @Test("two requests one behind the other are one request")
    func concatenated() throws {
        let one = request(Self.fields.flatMap { $0 })
        let scanned = try Scanned(one + one)
        #expect(scanned.spanCount == 2)
        #expect(scanned.tasks.map { scanned.text($0.queue) } == ["q", "q"])
    }

    @Test("a scanner remembers nothing of the request before, not even of a broken one")
    func reuse() throws {
        var scanner = SpanScanner()
        try request([ids + kind(5), []]).withUnsafeBytes { try scanner.scan($0) }
        #expect(throws: MalformedRequest.self) {
            try (request([ids + kind(5), []]) + [0xFF]).withUnsafeBytes { try scanner.scan($0) }
        }
        try request([ids + kind(4)]).withUnsafeBytes { try scanner.scan($0) }
        #expect(scanner.spanCount == 1)
        #expect(scanner.taskSpans.map(\.role) == [.produce])
        #expect(scanner.refused.isEmpty)
    }
}
