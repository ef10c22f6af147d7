/// What strings are made of: where runs without escapes end, UTF-8, escapes.
enum JSONCharacters {
    static let maxScalarBytes = 4

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The first quote or backslash at or behind `start`; what lies before it is good UTF-8 without control characters.
    /// Eight bytes at a time as long as they are plain ASCII.
    @inline(__always)
    static func plainEnd(_ body: UnsafeRawBufferPointer, from start: Int) throws(JSONError) -> Int {
        var position = start
        while true {
            while body.count - position >= 8 {
                let word = UInt64(littleEndian: body.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                let special = Self.special(word)
                position += special.trailingZeroBitCount / 8
                if special != 0 { break }
            }
            guard position < body.count else { throw JSONError(.truncated, at: body.count) }
            let byte = body[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return position }
            if byte < 0x20 { throw JSONError(.controlCharacter, at: position) }
            if byte < 0x80 {
                position += 1
            } else {
                position = try multibyteEnd(body, from: position)
            }
        }
    }

    /// The top bit of the first byte that is a quote, a backslash, below 0x20 or above 0x7F; 0 if there is none. Bits
    /// above it mean nothing, for the subtractions borrow.
    @inline(__always)
    private static func special(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let found = (quote &- ones) & ~quote | (backslash &- ones) & ~backslash | (word &- ones &* 0x20) & ~word | word
        return found & tops
    }

    /// Behind the run of bytes above 0x7F that starts here. Well-formed UTF-8 is table 3-7 of the Unicode standard.
    @inline(never)
    private static func multibyteEnd(_ body: UnsafeRawBufferPointer, from start: Int) throws(JSONError) -> Int {
        var position = start
        while position < body.count, body[position] >= 0x80 {
            let lead = body[position]
            let count: Int
            var second: ClosedRange<UInt8> = 0x80...0xBF
            switch lead {
            case 0xC2...0xDF: count = 2
            case 0xE0: (count, second) = (3, 0xA0...0xBF)
            case 0xED: (count, second) = (3, 0x80...0x9F)
            case 0xE1...0xEF: count = 3
            case 0xF0: (count, second) = (4, 0x90...0xBF)
            case 0xF1...0xF3: count = 4
            case 0xF4: (count, second) = (4, 0x80...0x8F)
            default: throw JSONError(.badUTF8, at: position)
            }
            guard body.count - position >= count else { throw JSONError(.badUTF8, at: position) }
            var isGood = second.contains(body[position + 1])
            for offset in 2..<max(2, count) where body[position + offset] & 0xC0 != 0x80 { isGood = false }
            if !isGood { throw JSONError(.badUTF8, at: position) }
            position += count
        }
        return position
    }

    /// The scalar of the escape that starts with the backslash at `start`, and where the text goes on.
    static func escape(
        _ body: UnsafeRawBufferPointer, at start: Int
    ) throws(JSONError) -> (scalar: Unicode.Scalar, next: Int) {
        guard body.count - start >= 2 else { throw JSONError(.truncated, at: body.count) }
        let scalar: Unicode.Scalar
        switch body[start + 1] {
        case UInt8(ascii: "\""): scalar = "\""
        case UInt8(ascii: "\\"): scalar = "\\"
        case UInt8(ascii: "/"): scalar = "/"
        case UInt8(ascii: "b"): scalar = "\u{8}"
        case UInt8(ascii: "f"): scalar = "\u{C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            guard let unit = codeUnit(body, at: start) else { throw JSONError(.badEscape, at: start) }
            if let scalar = Unicode.Scalar(unit) { return (scalar, start + 6) }
            if UTF16.isLeadSurrogate(unit), let trail = codeUnit(body, at: start + 6), UTF16.isTrailSurrogate(trail) {
                let offset = (UInt32(unit) - 0xD800) << 10 + UInt32(trail) - 0xDC00
                return (Unicode.Scalar(0x1_0000 + offset) ?? "\u{FFFD}", start + 12)
            }
            return ("\u{FFFD}", start + 6)
        default: throw JSONError(.badEscape, at: start)
        }
        return (scalar, start + 2)
    }

    /// `\uXXXX`; nil for anything else.
    private static func codeUnit(_ body: UnsafeRawBufferPointer, at start: Int) -> UInt16? {
        guard body.count - start >= 6, body[start] == UInt8(ascii: "\\"), body[start + 1] == UInt8(ascii: "u") else {
            return nil
        }
        var unit: UInt16 = 0
        for offset in 2..<6 {
            guard let digit = EncodedBytes.hexDigit(body[start + offset]) else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
