/// Bytes that JSON holds as text: hex and base64.
package enum EncodedBytes {
    package static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The four bytes of eight hex digits at once, the first one lowest; nil if a byte is no digit.
    @inline(__always)
    package static func hexWord(_ text: UnsafeRawBufferPointer, at offset: Int) -> UInt32? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones << 7
        let word = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        if word & tops != 0 { return nil }
        // Adding 0x80 - x to a byte sets its top bit if the byte is at least x.
        let lower = word | ones &* 0x20
        let isDigit = (word &+ ones &* 0x50) & ~(word &+ ones &* 0x46) & tops
        let isLetter = (lower &+ ones &* 0x1F) & ~(lower &+ ones &* 0x19) & tops
        if isDigit | isLetter != tops { return nil }
        let nibbles = (word & (ones &* 0x0F)) &+ (isLetter >> 7) &* 9
        let pairs = (nibbles << 4 | nibbles >> 8) & 0x00FF_00FF_00FF_00FF
        let halves = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF
        return UInt32(truncatingIfNeeded: halves | halves >> 16)
    }

    /// Room for what a base64 text can hold.
    package static func base64Bound(_ text: UnsafeRawBufferPointer) -> Int { text.count / 4 * 3 + 3 }

    /// Decodes base64, standard or url-safe, with padding or without, into room that was reserved. False if it is none.
    package static func decodeBase64(_ text: UnsafeRawBufferPointer, into output: inout GrowingBytes) -> Bool {
        var end = text.count
        if end % 4 == 0 {
            for _ in 0..<2 where end > 0 && text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        }
        if end % 4 == 1 { return false }
        var bits: UInt32 = 0
        for index in 0..<end {
            guard let digit = base64Digit(text[index]) else { return false }
            bits = bits << 6 | digit
            if index % 4 == 3 {
                output.put(UInt8(truncatingIfNeeded: bits >> 16))
                output.put(UInt8(truncatingIfNeeded: bits >> 8))
                output.put(UInt8(truncatingIfNeeded: bits))
            }
        }
        if end % 4 == 2 { output.put(UInt8(truncatingIfNeeded: bits >> 4)) }
        if end % 4 == 3 {
            output.put(UInt8(truncatingIfNeeded: bits >> 10))
            output.put(UInt8(truncatingIfNeeded: bits >> 2))
        }
        return true
    }

    private static func base64Digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
