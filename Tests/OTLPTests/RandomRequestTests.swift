import Model
import OTLP
import ProtobufWire
import TestSupport
import Testing

/// A span as the test wants it to be found.
private struct WantedSpan: Equatable {
    var trace: [UInt8]
    var id: [UInt8]
    var parent: [UInt8]
    var isProducer: Bool
    var start: UInt64
    var end: UInt64
    var isError: Bool
    var queue: String
    var taskType: String
    var retries: Int64
}

/// Builds random requests, and keeps what it built.
private struct RequestMaker {
    var random: SeededGenerator
    var wanted: [WantedSpan] = []
    var spanCount = 0
    var refusedCount = 0

    init(_ random: SeededGenerator) {
        self.random = random
    }

    mutating func request() -> [UInt8] {
        wanted = []
        spanCount = 0
        refusedCount = 0
        // Spans are wanted in the order of the request, so nothing above them is shuffled.
        return (0..<number(0...3)).flatMap { _ in
            junk()
                + Field.message(
                    1, junk(),
                    (0..<number(0...3)).flatMap { _ in
                        Field.message(2, junk(), (0..<number(0...4)).flatMap { _ in Field.bytes(2, span()) + junk() })
                    }, Field.text(3, "url"), Field.message(1, Field.bytes(1, keyValue("k", value()))), junk())
        }
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private mutating func text() -> String {
        String((0..<number(1...20)).map { _ in ["a", "é", "😀", "\"", "\0"][number(0...4)] }.joined())
    }

    /// Sometimes an unknown field.
    private mutating func junk() -> [UInt8] {
        switch number(0...9) {
        case 0: Field.int(1000, random.next())
        case 1: Field.fixed64(1001, random.next())
        case 2: Field.fixed32(1002, 1)
        case 3: Field.bytes(1003, random.bytes(number(0...200)))
        case 4: Field.group(1004, Field.int(1, 2), Field.group(3, Field.text(4, "x")))
        default: []
        }
    }

    private mutating func value(depth: Int = 0) -> [UInt8] {
        switch number(0...(depth < 4 ? 7 : 5)) {
        case 0: Value.text(text())
        case 1: Value.int(Int64(bitPattern: random.next()))
        case 2: Value.double(1.5)
        case 3: Value.bool(true)
        case 4: Value.bytes(random.bytes(number(0...9)))
        case 5: []
        case 6: Value.array(value(depth: depth + 1), value(depth: depth + 1))
        default: Value.map(keyValue(text(), value(depth: depth + 1)), keyValue("queue", value(depth: depth + 1)))
        }
    }

    private mutating func attribute(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let parts = [Field.text(1, key), Field.bytes(2, value), junk()].shuffled(using: &random)
        return Field.bytes(9, parts.flatMap { $0 })
    }

    private mutating func span() -> [UInt8] {
        spanCount += 1
        let isProducer = number(0...1) == 1
        let span = WantedSpan(
            trace: random.bytes(15) + [1], id: random.bytes(7) + [1],
            parent: number(0...1) == 1 ? random.bytes(7) + [1] : [],
            isProducer: isProducer, start: random.next(), end: random.next(), isError: number(0...1) == 1,
            queue: text(),
            taskType: text(), retries: Int64(number(-1...9)))
        let isTask = number(0...3) > 0
        let isRefused = number(0...9) == 0
        var fields = [
            Field.bytes(1, isRefused ? random.bytes(number(0...15)) : span.trace), Field.bytes(2, span.id),
            Field.text(5, text()), kind(isTask ? (isProducer ? 4 : 5) : [0, 1, 2, 3, 6][number(0...4)]),
            Field.fixed64(7, span.start), Field.fixed64(8, span.end),
            attribute("messaging.destination.name", Value.text(span.queue)),
            attribute("asynq.task.type", Value.text(span.taskType)),
            attribute("asynq.task.retry_count", Value.int(span.retries)), attribute(text(), value()),
            Field.message(15, Field.int(3, span.isError ? 2 : 1), Field.text(2, text())),
        ]
        if !span.parent.isEmpty { fields.append(Field.bytes(4, span.parent)) }
        for _ in 0..<number(0...3) { fields.append(junk()) }
        if number(0...2) == 0 {
            fields.append(Field.message(11, Field.text(2, text()), Field.bytes(3, keyValue("q", value()))))
        }
        if isRefused { refusedCount += 1 } else if isTask { wanted.append(span) }
        return fields.shuffled(using: &random).flatMap { $0 }
    }
}

@Suite("Random requests")
struct RandomRequestTests {
    @Test("the scanner finds exactly what was built, in any order of fields")
    func differential() throws {
        var maker = RequestMaker(.fresh(for: "random requests"))
        for _ in 0..<400 {
            let body = maker.request()
            let scanned = try Scanned(body)
            #expect(scanned.spanCount == maker.spanCount)
            #expect(scanned.refused.count == maker.refusedCount)
            #expect(scanned.tasks.map { found($0, scanned) } == maker.wanted)
        }
    }

    private func found(_ task: TaskSpan, _ scanned: Scanned) -> WantedSpan {
        func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) } }
        var retries = Int64.min
        if case .integer(let number) = task.retryCount { retries = number }
        return WantedSpan(
            trace: bytes(task.reference.trace.high) + bytes(task.reference.trace.low),
            id: bytes(task.reference.span.value),
            parent: task.parent.isValid ? bytes(task.parent.value) : [], isProducer: task.role == .produce,
            start: task.startNanoseconds, end: task.endNanoseconds, isError: task.isError,
            queue: scanned.text(task.queue),
            taskType: scanned.text(task.taskType), retries: retries)
    }

    @Test("changed, cut and doubled bytes never crash, and what is taken lies inside the body")
    func mutations() {
        var maker = RequestMaker(.fresh(for: "request mutations"))
        for _ in 0..<3000 {
            var body = maker.request()
            if body.isEmpty { continue }
            for _ in 0..<Int.random(in: 1...3, using: &maker.random) {
                let index = Int.random(in: body.indices, using: &maker.random)
                switch Int.random(in: 0...3, using: &maker.random) {
                case 0: body[index] = UInt8.random(in: 0...255, using: &maker.random)
                case 1: body[index] ^= 1 << UInt8.random(in: 0...7, using: &maker.random)
                case 2: body.insert(body[index], at: index)
                default: if body.count > 1 { body.remove(at: index) }
                }
            }
            body.withUnsafeBytes { SpanScanner.checkInvariants($0) }
        }
    }
}
