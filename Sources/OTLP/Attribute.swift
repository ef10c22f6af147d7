import Model
import ProtobufWire

/// A span's attribute (KeyValue) where it stands in the request.
struct Attribute {
    let key: UnsafeRawBufferPointer
    let value: AttributeValue
}

extension Attribute {
    /// Reads an attribute as nearly all senders write it, by a few comparisons: a key, then a text or a number below 16,384, each shorter
    /// than 128 bytes and written once. Returns nil for one of another form, right or wrong.
    ///
    /// ```
    /// 0A ┆ length ┆ key …  12 ┆ length ┆ 0A ┆ length ┆ text …     or     12 ┆ 02 ┆ 18 ┆ number
    /// ```
    @inline(__always)
    init?(plain message: WireReader) {
        let (start, count) = (message.position, message.end &- message.position)
        let bytes = message.buffer
        guard count >= 6, bytes[start] == 0x0A else { return nil }
        let keyCount = Int(bytes[start &+ 1])
        // A length of two bytes is 128 at least, and too long for this.
        guard keyCount < 128, keyCount &+ 6 <= count else { return nil }
        let valueStart = start &+ 2 &+ keyCount
        let valueCount = count &- keyCount &- 4
        guard bytes[valueStart] == 0x12, valueCount < 128, Int(bytes[valueStart &+ 1]) == valueCount else { return nil }
        let second = bytes[valueStart &+ 3]
        switch bytes[valueStart &+ 2] {
        case 0x0A where Int(second) == valueCount &- 2:
            value = .string(ByteRange(offset: valueStart &+ 4, count: valueCount &- 2))
        case 0x18 where valueCount == 2 && second < 128: value = .integer(Int64(second))
        case 0x18 where valueCount == 3 && second >= 128 && bytes[valueStart &+ 4] < 128:
            value = .integer(Int64(second & 127) | Int64(bytes[valueStart &+ 4]) << 7)
        default: return nil
        }
        key = UnsafeRawBufferPointer(rebasing: bytes[start &+ 2..<valueStart])
    }
}
