import Model

/// Hashes what senders choose: names of spans, texts. It folds products of 64 by 64 bits with keys that are made at
/// random for each instance. Without the keys, senders can't make values that collide, or pile up in one place of a
/// table. It takes a quarter of `Hasher`'s time; its results are never shown.
struct KeyedHash: Sendable {
    private let first = UInt64.random(in: 0 ... .max)
    private let second = UInt64.random(in: 0 ... .max)
    private let third = UInt64.random(in: 0 ... .max) | 1

    @inline(__always)
    func callAsFunction(_ reference: SpanReference) -> UInt64 {
        let trace = Self.folded(reference.trace.high ^ first, reference.trace.low ^ second)
        return Self.folded(trace ^ reference.span.value, third)
    }

    /// Returns the hash of two numbers.
    @inline(__always)
    func callAsFunction(_ left: UInt64, _ right: UInt64) -> UInt64 {
        Self.folded(Self.folded(left ^ first, right ^ second) ^ left, third)
    }

    @inline(__always)
    func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(bytes.count) ^ second
        var offset = 0
        while bytes.count - offset > 16 {
            hash = Self.folded(Self.word(bytes, offset) ^ first, Self.word(bytes, offset + 8) ^ hash)
            offset += 16
        }
        var (low, high): (UInt64, UInt64) = (0, 0)
        if bytes.count >= 16 {
            // Some of these bytes are read for the second time.
            (low, high) = (Self.word(bytes, bytes.count - 16), Self.word(bytes, bytes.count - 8))
        } else if bytes.count >= 8 {
            (low, high) = (Self.word(bytes, 0), Self.word(bytes, bytes.count - 8))
        } else {
            for byte in bytes { low = low << 8 | UInt64(byte) }
        }
        return Self.folded(Self.folded(low ^ first, high ^ hash) ^ hash, third)
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Returns both halves of the product, folded: each bit depends on all those of the factors.
    @inline(__always)
    private static func folded(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
