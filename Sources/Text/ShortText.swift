/// A text of at most 32 bytes in a place of fixed size, so that it is copied by a store or two.
public struct ShortText: Sendable {
    public static let capacity = 32

    @usableFromInline let bytes: SIMD32<UInt8>
    @usableFromInline let count: Int

    public init(_ text: String) {
        precondition(text.utf8.count <= Self.capacity, "too long for a short text")
        var bytes = SIMD32<UInt8>()
        for (index, byte) in text.utf8.enumerated() { bytes[index] = byte }
        self.bytes = bytes
        count = text.utf8.count
    }
}
