import Text

/// Reads the characters of strings: the ends of runs without escapes, UTF-8, escapes.
enum JSONCharacters {
    /// Returns the place of the first quote or backslash at or behind `start`. What lies before it is UTF-8 without
    /// control characters.
    ///
    /// - Throws: `JSONError` for a byte that strings must not hold, with its place.
    @inline(__always)
    static func plainEnd(_ body: UnsafeRawBufferPointer, from start: Int) throws(JSONError) -> Int {
        var position = start
        var bits: UInt8 = 0
        while position < body.count {
            let byte = body[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                if bits >= 0x80 { try checkUTF8(body, start..<position) }
                return position
            }
            if byte < 0x20 { throw JSONError(.controlCharacter, at: position) }
            bits |= byte
            position += 1
        }
        throw JSONError(.truncated, at: body.count)
    }

    @inline(never)
    private static func checkUTF8(_ body: UnsafeRawBufferPointer, _ range: Range<Int>) throws(JSONError) {
        let bytes = UnsafeRawBufferPointer(rebasing: body[range]).assumingMemoryBound(to: UInt8.self)
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            throw JSONError(.badUTF8, at: range.lowerBound + error.byteOffsets.lowerBound)
        }
    }

    /// Returns the scalar of the escape that starts with the backslash at `start`, and the place behind it.
    /// - Throws: `JSONError` for an escape that JSON does not know.
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
                return (UTF16.decode(UTF16.EncodedScalar([unit, trail])), start + 12)
            }
            return ("\u{FFFD}", start + 6)
        default: throw JSONError(.badEscape, at: start)
        }
        return (scalar, start + 2)
    }

    /// Reads `\uXXXX`; returns nil for anything else.
    private static func codeUnit(_ body: UnsafeRawBufferPointer, at start: Int) -> UInt16? {
        guard body.count - start >= 6, body[start] == UInt8(ascii: "\\"), body[start + 1] == UInt8(ascii: "u") else {
            return nil
        }
        return Hex.value(body[start + 2..<start + 6]).map { UInt16(truncatingIfNeeded: $0) }
    }
}
