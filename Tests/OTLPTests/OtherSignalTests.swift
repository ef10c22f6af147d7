import OTLP
import Testing

@Suite("Requests of other signals")
struct OtherSignalTests {
    private func found(_ records: [[UInt8]]) -> OtherSignal? {
        request(records).withUnsafeBytes { OtherSignal.found(in: $0) }
    }

    private static let text = Field.message(5, Field.text(1, "out of memory"))
    private static let points = Field.message(1, Field.fixed64(3, 7), Field.fixed64(4, 1))

    @Test(
        "Logs are known by a time, a severity or a value in the place of ids and names",
        arguments: [
            Field.fixed64(1, 7), Field.fixed64(11, 7) + text, Field.int(2, 9) + Field.text(3, "INFO"), text,
            Field.fixed64(1, 7) + text + Field.bytes(9, [UInt8](repeating: 1, count: 16)) + Field.fixed32(8, 1),
        ])
    func logs(record: [UInt8]) {
        #expect(found([record]) == .logs && found([record, Self.text]) == .logs)
        #expect(found([record, ids]) == nil, "a span among them")
    }

    @Test(
        "One record that is sure is enough, where the others can be such",
        arguments: [
            Field.text(3, "INFO"), [], Field.bytes(9, [UInt8](repeating: 1, count: 16)),
        ])
    func possibleLogs(record: [UInt8]) {
        let sure = Field.fixed64(1, 7)
        #expect(found([record]) == nil)
        #expect(
            found([sure, record]) == .logs && found([record, sure]) == .logs && found([record, sure, record]) == .logs)
        #expect(found([sure, record, ids]) == nil)
    }

    @Test(
        "A field of another wire type than a span's makes a log record sure",
        arguments: [
            Field.text(12, "device.app.lifecycle") + Field.message(6, Field.text(1, "a")),
            Field.message(6, Field.text(1, "a")),
            Field.bytes(9, [UInt8](repeating: 1, count: 16)) + Field.bytes(10, [UInt8](repeating: 2, count: 8)),
            Field.fixed32(8, 1), Field.int(7, 1),
        ])
    func wireTypes(record: [UInt8]) {
        #expect(found([record]) == .logs)
    }

    @Test(
        "A metric whose name and description are as long as ids is one, also without points; the ids of a span are no text"
    )
    func metricsLikeSpans() {
        let names = Field.text(1, "sixteen letters!") + Field.text(2, "eight...")
        for metric in [names + Field.bytes(5, Self.points), names + Field.bytes(5, [])] {
            #expect(found([metric]) == .metrics && found([metric, names]) == .metrics)
            #expect(found([metric, ids]) == nil && found([ids + Field.bytes(5, [])]) == nil)
        }
    }

    @Test(
        "Log records with control characters in their text are log records",
        arguments: ["\u{1B}[32minfo\u{1B}[0m x", "a\0b", "\u{7F}"])
    func controlCharacters(text: String) {
        let time = Field.fixed64(1, 1_700_000_000_000_000_000)
        let colored = time + Field.message(5, Field.text(1, text))
        let plain = time + Field.message(5, Field.text(1, "info"))
        #expect(found([colored]) == .logs && found([plain, colored]) == .logs && found([colored, plain]) == .logs)
    }

    @Test("A metric without a name is one, whatever its kind", arguments: [5, 7, 9, 10, 11] as [UInt64])
    func namelessMetrics(field: UInt64) {
        #expect(found([Field.bytes(field, Self.points + Field.int(2, 2))]) == .metrics)
        #expect(found([Field.text(2, "tasks") + Field.bytes(field, Self.points + Field.int(2, 1))]) == .metrics)
        // A point with a start, a time and a number: no text, as the body of a log record is.
        let point = Field.fixed64(2, 1_700_000_000_000_000_000) + Field.fixed64(3, 1_700_000_001_000_000_000)
        #expect(
            found([Field.bytes(field, Field.bytes(1, point + Field.fixed64(4, 0x3FF8_0000_0000_0000)))]) == .metrics)
    }

    @Test(
        "A span whose ids are text is one, unless a field is of no span",
        arguments: [
            Field.message(9, Field.text(1, "k")),
            Field.message(9, Field.text(1, "k") + Field.message(2, Field.text(1, "v"))),
            Field.message(9, Field.text(1, "k")) + Field.text(5, "work"), Field.text(5, "\n\u{9}abcdefghi"),
            Field.text(5, "work"),
            Field.bytes(5, []) + Field.message(9, Field.text(1, "k")), Field.bytes(11, []), Field.text(3, "a=b"),
            Field.bytes(9, []),
        ])
    func spansWithASCIIIDs(rest: [UInt8]) {
        let ids = Field.text(1, "sixteen letters!") + Field.text(2, "eight...")
        #expect(found([ids + rest]) == nil && found([ids + rest, ids + rest]) == nil)
        for sure in [
            Field.message(7, Self.points), Field.bytes(10, Self.points), Field.message(12, Field.text(1, "k")),
        ] {
            #expect(found([ids + sure]) == .metrics)
        }
    }

    @Test("Metrics are known by their data points", arguments: [5, 7, 9, 10, 11] as [UInt64])
    func metrics(field: UInt64) {
        let names = Field.text(1, "queue.size") + Field.text(2, "tasks") + Field.text(3, "1")
        let metric = names + Field.bytes(field, Self.points + (field == 7 ? Field.int(2, 2) + Field.int(3, 1) : []))
        #expect(found([metric]) == .metrics && found([metric, metric]) == .metrics)
        #expect(found([names]) == nil && found([metric, ids]) == nil)
    }

    @Test("Spans are no other signal, whatever they lack, nor is a request that has no record or is broken")
    func spans() {
        let name = Field.text(5, "emails process")
        for span in [
            ids, ids + kind(5) + name, name, Field.bytes(1, []) + name, Field.bytes(1, [1]) + Field.bytes(2, [2]), [],
        ] {
            #expect(found([span]) == nil, "\(span)")
        }
        #expect(found([]) == nil)
        #expect([UInt8]().withUnsafeBytes { OtherSignal.found(in: $0) } == nil)
        #expect([UInt8]("hello".utf8).withUnsafeBytes { OtherSignal.found(in: $0) } == nil)
    }
}
