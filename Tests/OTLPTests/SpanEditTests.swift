import Model
import OTLP
import Testing

@Suite("Giving spans of a request the context that their task carries")
struct SpanEditTests {
    private static let contextTrace = [UInt8](repeating: 0xC1, count: 16)
    private static let contextSpan = [UInt8](repeating: 0xC2, count: 8)
    private static let rest = kind(5) + attribute("queue", "q") + Field.group(900, Field.int(1, 1))

    private static func context(isSampled: Bool = true, state: String = "") -> TraceContext {
        let half: UInt64 = 0xC1C1_C1C1_C1C1_C1C1
        return TraceContext(
            reference: SpanReference(
                trace: TraceID(high: half, low: half), span: SpanID(0xC2C2_C2C2_C2C2_C2C2)),
            isSampled: isSampled, traceState: Array(state.utf8))
    }

    /// The request with the changes of its spans, by their place.
    private func edited(_ spans: [[UInt8]], _ changes: [Int: SpanEdit.Change]) throws -> [UInt8] {
        let body = request(spans)
        let tasks = try Scanned(body).tasks
        let edits = changes.sorted { $0.key < $1.key }.map { place, change in
            let content = tasks[place].content
            return SpanEdit(Int(content.offset)..<Int(content.offset + content.count), change)
        }
        return try body.withUnsafeBytes { try SpanRewriter.apply(edits, to: $0) }
    }

    private static func link(state: String = "", flags: UInt32) -> [UInt8] {
        Field.message(
            13, Field.bytes(1, contextTrace), Field.bytes(2, contextSpan), state.isEmpty ? [] : Field.text(3, state),
            Field.fixed32(6, flags))
    }

    @Test(
        "A link is added behind the span's own fields, and says whether its trace was sampled",
        arguments: [true, false])
    func link(isSampled: Bool) throws {
        let span = ids + Self.rest
        let link = Self.link(flags: isSampled ? 0x301 : 0x300)
        #expect(
            try edited([span, span, span], [1: .link(Self.context(isSampled: isSampled))])
                == request([span, span + link, span]))
    }

    @Test("As the parent, it gives its trace and its span, and its trace state where the span has none of its own")
    func parent() throws {
        let change = [0: SpanEdit.Change.parent(Self.context(state: "a=1"))]
        let trace = Field.bytes(1, Self.contextTrace)
        let parent = Field.bytes(4, Self.contextSpan)
        let span = Field.bytes(2, spanBytes) + Self.rest
        #expect(
            try edited([Field.bytes(1, traceBytes) + span], change)
                == request([trace + span + parent + Field.text(3, "a=1")]))
        let own = Field.text(3, "own=2")
        #expect(try edited([own + span + Field.bytes(1, traceBytes)], change) == request([own + span + trace + parent]))
        let empty = Field.bytes(4, [])
        #expect(
            try edited([empty + Field.bytes(1, traceBytes) + span], [0: .parent(Self.context())])
                == request([trace + span + parent]))
    }

    @Test("A trace state that is no printable ASCII is left out: a backend refuses the request for it")
    func traceState() throws {
        let span = ids + Self.rest
        for (state, isKept) in [(" ~", true), ("a=\u{1F}", false), ("a=\u{7F}", false), ("a=ä", false)] {
            #expect(
                try edited([span], [0: .link(Self.context(state: state))])
                    == request([span + Self.link(state: isKept ? state : "", flags: 0x301)]), "\(state)")
        }
    }

    @Test("Several spans of one request are changed each in its own way, and the others stay")
    func several() throws {
        let span = ids + Self.rest
        let changes: [Int: SpanEdit.Change] = [0: .link(Self.context()), 2: .remove, 3: .parent(Self.context())]
        let child =
            Field.bytes(1, Self.contextTrace) + Field.bytes(2, spanBytes) + Self.rest + Field.bytes(4, Self.contextSpan)
        #expect(
            try edited([span, span, span, span], changes) == request([span + Self.link(flags: 0x301), span, child]))
    }

    @Test("The spans of the traces that are looked for are counted over all resources and scopes")
    func counts() throws {
        let other = Field.bytes(1, [UInt8](repeating: 9, count: 16)) + Field.bytes(2, spanBytes)
        let body = request([ids, other, ids + Self.rest]) + request([ids]) + request([[]])
        let mine = try #require(traceBytes.withUnsafeBytes { TraceID($0) })
        let absent = TraceID(high: 1, low: 1)
        let counts = try body.withUnsafeBytes { try SpanRewriter.spanCounts(of: [mine, absent], in: $0) }
        #expect(counts == [mine: 3])
    }
}
