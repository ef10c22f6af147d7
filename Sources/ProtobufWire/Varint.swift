public import Text

/// Protobuf's integers of variable length (https://protobuf.dev/programming-guides/encoding/#varints): seven bits a byte, the
/// lowest first; the top bit says that more follow.
public enum Varint {
    /// Returns the number of bytes that a value takes: 1 to 10.
    @inlinable @inline(__always)
    public static func size(_ value: UInt64) -> Int { (9 * (63 - (value | 1).leadingZeroBitCount) + 73) / 64 }

    @inlinable @inline(__always)
    public static func forEachByte(of value: UInt64, _ body: (UInt8) -> Void) {
        var rest = value
        while rest >= 0x80 {
            body(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        body(UInt8(truncatingIfNeeded: rest))
    }
}

extension GrowingBytes {
    @inlinable @inline(__always)
    public mutating func append(varint value: UInt64) {
        if value < 0x80 { return append(UInt8(truncatingIfNeeded: value)) }
        Varint.forEachByte(of: value) { append($0) }
    }

    /// A message whose length is not known yet.
    public struct OpenMessage {
        @usableFromInline let start: Int

        @inlinable @inline(__always)
        init(start: Int) { self.start = start }
    }

    /// Begins a message, behind its tag: sets space aside for a length like that of `guess` bytes.
    @inlinable @inline(__always)
    public mutating func openMessage(guess: Int) -> OpenMessage {
        for _ in 0..<Varint.size(UInt64(guess)) { append(0) }
        return OpenMessage(start: count)
    }

    /// Writes the length of what was appended since the message was opened. If the length takes another number of bytes
    /// than `guess` does, the message moves, once.
    @inlinable @inline(__always)
    public mutating func close(_ message: OpenMessage, guess: Int) {
        let length = UInt64(count - message.start)
        let missing = Varint.size(length) - Varint.size(UInt64(guess))
        if missing != 0 { move(message, by: missing) }
        set(varint: length, at: message.start + missing - Varint.size(length))
    }

    @usableFromInline
    mutating func move(_ message: OpenMessage, by distance: Int) {
        let content = message.start..<count
        append(zeros: max(0, distance))
        copy(content, to: message.start + distance)
        truncate(to: content.upperBound + distance)
    }

    /// Writes a varint over bytes that were set aside for it.
    @inlinable @inline(__always)
    public mutating func set(varint value: UInt64, at position: Int) {
        var position = position
        Varint.forEachByte(of: value) { byte in
            set(byte, at: position)
            position += 1
        }
    }

    /// Appends what `write` appends, preceded by its length.
    @inlinable @inline(__always)
    public mutating func appendMessage(guess: Int, _ write: (inout GrowingBytes) -> Void) {
        let message = openMessage(guess: guess)
        write(&self)
        close(message, guess: guess)
    }
}
