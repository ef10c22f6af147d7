import Model
import OTLP
import ProtobufWire

/// A scanner after its work, with the body that its ranges refer to.
struct Scanned {
    let body: [UInt8]
    let spanCount: Int
    let tasks: [TaskSpan]
    let refused: [Range<Int>]

    init(_ body: [UInt8], table: TaskAttributeTable = TaskAttributeTable()) throws {
        var scanner = SpanScanner(table: table)
        try body.withUnsafeBytes { try scanner.scan($0) }
        self.body = body
        spanCount = scanner.spanCount
        tasks = scanner.taskSpans
        refused = scanner.refused
    }

    func text(_ range: ByteRange) -> String {
        body.withUnsafeBytes { String(decoding: range.bytes(in: $0), as: UTF8.self) }
    }

    func text(_ value: AttributeValue) -> String? {
        if case .string(let range) = value { text(range) } else { nil }
    }
}

/// How a scan fails; nil where it doesn't.
func malformed(_ body: [UInt8]) -> MalformedRequest? {
    do {
        _ = try Scanned(body)
        return nil
    } catch {
        return error as? MalformedRequest
    }
}
