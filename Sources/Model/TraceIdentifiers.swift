import Text

/// A W3C trace id: 16 bytes, big-endian in two halves. All zero is invalid and stands for "none".
package struct TraceID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 16 bytes of an id; returns nil for any other number of bytes.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    package static let none = TraceID(high: 0, low: 0)

    package var bytes: [UInt8] { bigEndianBytes(of: high) + bigEndianBytes(of: low) }

    package var isValid: Bool { high | low != 0 }

    /// The id as 32 lower-case hex digits.
    package var hex: String {
        Hex.text(high, digits: 16) + Hex.text(low, digits: 16)
    }
}

/// A W3C span id: 8 bytes, big-endian. Zero is invalid and stands for "none".
package struct SpanID: Hashable, Sendable {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    package static let none = SpanID(0)

    package var bytes: [UInt8] { bigEndianBytes(of: value) }

    package var isValid: Bool { value != 0 }

    /// The id as 16 lower-case hex digits.
    package var hex: String {
        Hex.text(value, digits: 16)
    }
}

/// The name that one span has everywhere: its trace id and its own id.
package struct SpanReference: Hashable, Sendable {
    package let trace: TraceID
    package let span: SpanID

    package init(trace: TraceID, span: SpanID) {
        self.trace = trace
        self.span = span
    }

    package static let none = SpanReference(trace: .none, span: .none)

    package var isValid: Bool { trace.isValid && span.isValid }
}

private func bigEndianBytes(of value: UInt64) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) }
}
