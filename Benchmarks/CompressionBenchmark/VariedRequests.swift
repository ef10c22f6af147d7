import Platform
import ProtobufWire

/// Requests in the shape of those that a Go SDK sent (Tests/Fixtures/otlp-go-sdk), each with ids, times and numbers of
/// its own: what repeats in them repeats in reality, too, and nothing else.
struct VariedRequests {
    private let captured: [[UInt8]]
    private var next = 0
    private var generator: any RandomNumberGenerator

    init(generator: any RandomNumberGenerator) throws {
        let root = (0..<4).reduce(#filePath) { path, _ in Files.parent(of: path) }
        captured = try (0..<44).map { number in
            try Files.read("\(root)/Tests/Fixtures/otlp-go-sdk/\(number < 10 ? "00" : "0")\(number).pb")
        }
        self.generator = generator
    }

    /// A batch as the forwarder sends it: whole requests in a row, as many as fit.
    mutating func batch(maxBytes: Int) throws -> [UInt8] {
        var batch: [UInt8] = []
        while true {
            let request = captured[next % captured.count]
            if batch.count + request.count > maxBytes, !batch.isEmpty { return batch }
            next += 1
            var variation = Variation(request, &generator)
            batch += try variation.applied()
        }
    }
}

/// The messages of OTLP that hold something to vary, and which of their fields hold it.
private enum Message {
    case request, resourceSpans, scopeSpans, span, event, link, keyValue, anyValue

    enum Content {
        case message(Message)
        case traceID, spanID, time, text
    }

    func content(_ field: Int) -> Content? {
        switch (self, field) {
        case (.request, 1): .message(.resourceSpans)
        case (.resourceSpans, 2): .message(.scopeSpans)
        case (.scopeSpans, 2): .message(.span)
        case (.span, 1), (.link, 1): .traceID
        case (.span, 2), (.span, 4), (.link, 2): .spanID
        case (.span, 7), (.span, 8), (.event, 1): .time
        case (.span, 9), (.event, 3), (.link, 4): .message(.keyValue)
        case (.span, 11): .message(.event)
        case (.span, 13): .message(.link)
        case (.keyValue, 2): .message(.anyValue)
        case (.anyValue, 1): .text
        default: nil
        }
    }
}

/// One request's. Every change keeps the length, so that the bytes are changed where they lie.
private struct Variation {
    private let request: [UInt8]
    private var varied: [UInt8]
    /// The same for all ids of the request: what was one trace stays one.
    private let idMask: [UInt8]
    private var generator: any RandomNumberGenerator

    init(_ request: [UInt8], _ generator: inout any RandomNumberGenerator) {
        self.request = request
        varied = request
        idMask = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        self.generator = generator
        _ = generator.next()
    }

    mutating func applied() throws -> [UInt8] {
        try request.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            try vary(&reader, as: .request)
        }
        return varied
    }

    private mutating func vary(_ reader: inout WireReader, as message: Message) throws(WireError) {
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch message.content(field) {
            case .message(let inner):
                var nested = try reader.message()
                try vary(&nested, as: inner)
            case .traceID: mask(try reader.range())
            case .spanID: mask(try reader.range())
            case .time:
                // The last 28 bits: a quarter of a second, as spans of one batch are apart.
                let start = reader.position
                _ = try reader.fixed64()
                for index in start..<(start + 3) { varied[index] = UInt8.random(in: 0...255, using: &generator) }
                varied[start + 3] ^= UInt8.random(in: 0...15, using: &generator)
            case .text: varyText(try reader.range())
            case nil: try reader.skip(type, field: field)
            }
        }
    }

    private mutating func mask(_ range: Range<Int>) {
        for (index, mask) in zip(range, idMask) { varied[index] ^= mask }
    }

    /// Other digits; in UUIDs and the like also other letters.
    private mutating func varyText(_ range: Range<Int>) {
        let digits = Array("0123456789".utf8)
        let hexDigits = digits + Array("abcdef".utf8)
        let isHex = range.count >= 16 && range.allSatisfy { hexDigits.contains(request[$0]) || request[$0] == 0x2D }
        let alphabet = isHex ? hexDigits : digits
        for index in range where alphabet.contains(request[index]) {
            varied[index] = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
        }
    }
}
