import Model
import OTLP
import ProtobufWire
import Testing

@testable import SpanReceiver

@Suite("Which spans get their context back")
struct RelinkTests {
    private static let known = ["t": CarriedMessage(context: context(5))]

    private struct Relinked {
        var spans: [TaskSpan]
        let content: [Range<Int>]
        let findings: TraceRelinker.Findings

        /// By span: what is changed.
        var changes: [SpanEdit.Change?] {
            content.map { range in findings.edits.first { $0.span == range }?.change }
        }
    }

    private func relink(
        _ mode: RelinkMode = .link, knows messages: [String: CarriedMessage] = known,
        _ write: (inout RequestMaker) -> Void
    ) throws -> Relinked {
        var maker = RequestMaker()
        write(&maker)
        let body = maker.bytes
        let source = FakeKnowledge(messages)
        let relinker = TraceRelinker(mode, source: source)
        var spans = try scan(body).taskSpans
        let findings = try body.withUnsafeBytes { body in
            source.look(for: &spans, in: body)
            return try relinker.relink(&spans, in: body)
        }
        let content = spans.map { Int($0.content.offset)..<Int($0.content.offset + $0.content.count) }
        return Relinked(spans: spans, content: content, findings: findings)
    }

    @Test("a process span without parent and link is linked to what its task carries, which pairs it with its producer")
    func link() throws {
        let found = try relink { $0.process(1) }
        guard case .link(context(5))? = found.changes[0] else { return #expect(Bool(false), "it is not linked") }
        #expect(found.spans[0].link == context(5).reference && found.spans[0].isLinkSampled)
        #expect(found.spans[0].movedTo == nil)
        #expect(found.findings.counts.links == 1 && found.findings.counts.parents == 0)
        #expect(found.findings.counts.notFound == 0)
    }

    @Test("a span with a parent or a link, and a producer, are left alone")
    func untouched() throws {
        let found = try relink { maker in
            maker.process(1) { $0.data(4, SpanID(9).bytes) }
            maker.process(2) { span in
                span.message(13) { link in
                    link.data(1, TraceID(high: 1, low: 1).bytes)
                    link.data(2, SpanID(1).bytes)
                }
            }
            maker.span(3) { span in
                span.varint(6, 4)
                RequestMaker.attribute("messaging.message.id", "t", to: &span)
            }
        }
        #expect(found.spans.count == 3 && found.findings.edits.isEmpty)
        #expect(found.findings.counts.notFound == 0)
    }

    @Test("a task that is not known, carries nothing, no span, or this very span, restores nothing and is counted")
    func notFound() throws {
        let own = SpanReference(trace: TraceID(high: 7, low: 4), span: SpanID(4))
        let noSpan = SpanReference(trace: TraceID(high: 8, low: 1), span: .none)
        let messages = [
            "nothing": CarriedMessage(),
            "no span": CarriedMessage(context: TraceContext(reference: noSpan, isSampled: true)),
            "own": CarriedMessage(context: TraceContext(reference: own, isSampled: true)),
        ]
        let found = try relink(knows: messages) { maker in
            for (index, id) in ["unknown", "nothing", "no span", "own", ""].enumerated() {
                maker.process(UInt64(index) + 1, id: id)
            }
        }
        #expect(found.findings.edits.isEmpty && found.findings.counts.notFound == 5)
        #expect(found.spans.allSatisfy { !$0.link.isValid })
    }

    @Test("switched off, nothing is restored and nothing is missed")
    func off() throws {
        let found = try relink(.off) { maker in
            maker.process(1)
            maker.process(2, id: "unknown")
        }
        #expect(found.findings.edits.isEmpty && found.findings.counts.notFound == 0)
    }

    @Test("as the parent, a span that is alone in its trace moves into the other; beside any other span it is linked")
    func parent() throws {
        let found = try relink(.parent) { maker in
            maker.process(1)
            maker.process(2)
            maker.span(3, trace: 2)
            maker.process(4, trace: 40)
            maker.process(5, trace: 40)
        }
        guard case .parent(context(5))? = found.changes[0] else { return #expect(Bool(false), "it did not move") }
        #expect(found.spans[0].movedTo == context(5).reference.trace)
        #expect(found.spans[0].forwarded == SpanReference(trace: context(5).reference.trace, span: SpanID(1)))
        for index in 1...3 {
            guard case .link? = found.changes[index] else { return #expect(Bool(false), "span \(index) is not linked") }
            #expect(found.spans[index].movedTo == nil)
        }
        #expect(found.findings.counts.parents == 1 && found.findings.counts.links == 3)
    }

    @Test("an unsampled trace is linked, and no span moves into it, whatever its flags: it was exported")
    func unsampled() throws {
        let messages = ["t": CarriedMessage(context: context(5, isSampled: false))]
        let found = try relink(.parent, knows: messages) { maker in
            maker.process(1)
            maker.process(2) { $0.fixed32(16, 0x100) }
        }
        guard case .link? = found.changes[0], case .link? = found.changes[1] else {
            return #expect(Bool(false), "\(found.changes)")
        }
        #expect(found.spans.allSatisfy { !$0.isLinkSampled })
    }

    @Test("what was found is counted once the spans are accepted")
    func counts() throws {
        let relinker = TraceRelinker(.link, source: FakeKnowledge())
        let found = try relink { maker in
            maker.process(1)
            maker.process(2, id: "unknown")
        }
        #expect(relinker.counts.links == 0)
        for _ in 0..<2 { relinker.recordAccepted(found.findings) }
        relinker.recordOverLimit(3)
        #expect(relinker.counts.links == 2 && relinker.counts.notFound == 2 && relinker.counts.overLimit == 3)
    }
}

@Suite("Which tasks Redis is asked for")
struct TaskQuestionTests {
    private func questions(
        _ mode: RelinkMode = .link, knows messages: [String: CarriedMessage] = [:],
        _ write: (inout RequestMaker) -> Void
    ) throws -> [TaskQuestion] {
        var maker = RequestMaker()
        write(&maker)
        let body = maker.bytes
        let source = FakeKnowledge(messages)
        var spans = try scan(body).taskSpans
        return body.withUnsafeBytes { body in
            source.look(for: &spans, in: body)
            return TraceRelinker(mode, source: source).questions(of: spans, in: body)
        }
    }

    /// Writes a field of a span.
    private typealias Field = @Sendable (inout WireWriter) -> Void

    @Sendable private static func parent(_ span: inout WireWriter) { span.data(4, SpanID(9).bytes) }
    @Sendable private static func stamp(_ span: inout WireWriter) {
        RequestMaker.attribute("asynq.task.enqueued_at", 1_795_197_881, to: &span)
    }
    @Sendable private static func wait(_ span: inout WireWriter) {
        RequestMaker.attribute("asynq.task.wait_seconds", 3, to: &span)
    }
    private static func retry(_ count: Int64) -> Field {
        { RequestMaker.attribute("asynq.task.retry_count", count, to: &$0) }
    }

    private static let cases: [(name: String, fields: [Field], context: Bool, time: Bool)] = [
        ("an orphan", [], true, true),
        ("an orphan with a stamp", [stamp], true, false),
        ("an orphan with a measured wait", [wait], true, false),
        ("an orphan that is a retry", [retry(1)], true, false),
        ("an orphan that says retry 0", [retry(0)], true, true),
        ("a child", [parent], false, true),
        ("a child that says retry 0", [parent, retry(0)], false, true),
        ("a child that is a retry", [parent, retry(1)], false, false),
        ("a child with a stamp", [parent, stamp], false, false),
        ("a child with a measured wait", [parent, wait], false, false),
    ]

    @Test("it is asked for what the span lacks: a context without parent and link, a time without stamp and wait")
    func wants() throws {
        for (name, fields, context, time) in Self.cases {
            func write(_ maker: inout RequestMaker) {
                maker.process(1) { span in
                    for field in fields { field(&span) }
                }
            }
            let questions = try questions(.link, write)
            #expect(questions.count == (context || time ? 1 : 0), "\(name)")
            #expect(questions.allSatisfy { $0.wantsContext == context && $0.wantsTime == time }, "\(name)")
            let unlinked = try self.questions(.off, write)
            #expect(unlinked.map(\.wantsTime) == (time ? [true] : []), "\(name), switched off")
            #expect(unlinked.allSatisfy { !$0.wantsContext }, "\(name), switched off")
        }
    }

    @Test("a task whose message is known is not asked for, though it carries nothing")
    func known() throws {
        #expect(try questions(knows: ["t": CarriedMessage()]) { $0.process(1) }.isEmpty)
    }

    @Test("each task is asked for once, in the order of the request")
    func once() throws {
        let questions = try questions { maker in
            for (number, id) in ["a", "b", "a", "b", "c"].enumerated() { maker.process(UInt64(number) + 1, id: id) }
        }
        #expect(questions.map { String(decoding: $0.task.id, as: UTF8.self) } == ["a", "b", "c"])
        #expect(questions.allSatisfy { $0.task.queue == QueueName("q") })
    }

    @Test("names of 1 to 1,024 bytes are asked for", arguments: [(0, false), (1, true), (1024, true), (1025, false)])
    func names(length: Int, isAsked: Bool) throws {
        let name = String(repeating: "x", count: length)
        #expect(try questions { $0.process(1, id: name) }.count == (isAsked ? 1 : 0))
        let byQueue = try questions { maker in
            maker.span(1) { span in
                span.varint(6, 5)
                if length > 0 { RequestMaker.attribute("messaging.destination.name", name, to: &span) }
                RequestMaker.attribute("messaging.message.id", "t", to: &span)
            }
        }
        #expect(byQueue.count == (isAsked ? 1 : 0))
    }

    @Test("a producer is not asked for")
    func producers() throws {
        let questions = try questions { maker in
            maker.span(1) { span in
                span.varint(6, 4)
                RequestMaker.attribute("messaging.destination.name", "q", to: &span)
                RequestMaker.attribute("messaging.message.id", "t", to: &span)
            }
        }
        #expect(questions.isEmpty)
    }
}
