/// Base64 (RFC 4648).
package enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Returns the bytes in the standard alphabet, without padding.
    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for _ in 0...group.count {
                text.append(digits[Int(bits >> 18 & 63)])
                bits <<= 6
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the bytes of a text: standard or url-safe, with padding or without. Returns false for a text that is not
    /// base64; what is appended then means nothing.
    package static func decode(_ text: UnsafeRawBufferPointer, into output: inout GrowingBytes) -> Bool {
        var end = text.count
        if end % 4 == 0 {
            for _ in 0..<2 where end > 0 && text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        }
        if end % 4 == 1 { return false }
        var bits: UInt32 = 0
        for index in 0..<end {
            guard let digit = value(of: text[index]) else { return false }
            bits = bits << 6 | digit
            if index % 4 == 3 {
                output.append(UInt8(truncatingIfNeeded: bits >> 16))
                output.append(UInt8(truncatingIfNeeded: bits >> 8))
                output.append(UInt8(truncatingIfNeeded: bits))
            }
        }
        if end % 4 == 2 { output.append(UInt8(truncatingIfNeeded: bits >> 4)) }
        if end % 4 == 3 {
            output.append(UInt8(truncatingIfNeeded: bits >> 10))
            output.append(UInt8(truncatingIfNeeded: bits >> 2))
        }
        return true
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
