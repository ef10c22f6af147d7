import Text

// These are `public`, unlike most of the code, so that they are inlined into other modules (docs/decisions/0016-flat-tables.md).

/// A W3C trace id: 16 bytes, big-endian in two halves. All zero is invalid and stands for "none".
public struct TraceID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable @inline(__always)
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 16 bytes of an id; returns nil for any other number of bytes.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    @inlinable @inline(__always)
    public static var none: TraceID { TraceID(high: 0, low: 0) }

    package var bytes: [UInt8] { bigEndianBytes(of: high) + bigEndianBytes(of: low) }

    @inlinable @inline(__always)
    public var isValid: Bool { high | low != 0 }

    /// The id as 32 lower-case hex digits.
    package var hex: String {
        Hex.text(high, digits: 16) + Hex.text(low, digits: 16)
    }
}

/// A W3C span id: 8 bytes, big-endian. Zero is invalid and stands for "none".
public struct SpanID: Hashable, Sendable {
    public let value: UInt64

    @inlinable @inline(__always)
    public init(_ value: UInt64) {
        self.value = value
    }

    @inlinable @inline(__always)
    public static var none: SpanID { SpanID(0) }

    package var bytes: [UInt8] { bigEndianBytes(of: value) }

    @inlinable @inline(__always)
    public var isValid: Bool { value != 0 }

    /// The id as 16 lower-case hex digits.
    package var hex: String {
        Hex.text(value, digits: 16)
    }
}

/// The name that one span has everywhere: its trace id and its own id.
public struct SpanReference: Hashable, Sendable {
    public let trace: TraceID
    public let span: SpanID

    @inlinable @inline(__always)
    public init(trace: TraceID, span: SpanID) {
        self.trace = trace
        self.span = span
    }

    @inlinable @inline(__always)
    public static var none: SpanReference { SpanReference(trace: .none, span: .none) }

    @inlinable @inline(__always)
    public var isValid: Bool { trace.isValid && span.isValid }
}

private func bigEndianBytes(of value: UInt64) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) }
}
