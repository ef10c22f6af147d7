import Text

/// Text that came from outside (a queue name, a task type), compared byte by byte.
///
/// Swift's `String` treats canonically equivalent texts as equal ("é" in one scalar or two). Redis and Asynq do not, so
/// two different queues would become one. The bytes are kept as they came.
package struct ForeignText: Hashable, Sendable, Comparable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    package init(_ buffer: UnsafeRawBufferPointer) {
        self.bytes = [UInt8](buffer)
    }

    package init(_ text: String) {
        self.bytes = [UInt8](text.utf8)
    }

    /// Returns the first `count` bytes at most, without half a character at the end.
    package func cut(to count: Int) -> ForeignText {
        guard bytes.count > count else { return self }
        var end = count
        while end > 0, end > count - 4, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return ForeignText(Array(bytes[..<end]))
    }

    /// The text for people and for formats that demand UTF-8: each invalid byte is replaced by U+FFFD.
    package var text: String {
        String(decoding: bytes, as: UTF8.self)
    }

    /// The text for labels: each byte that is not UTF-8 is written as `\xHH`. Different names stay different:
    ///
    /// ```
    /// FF          \xFF      an odd number of backslashes: a byte
    /// \xFF        \\xFF     an even number: the text, with half of them
    /// \ FF        \\\xFF
    /// \d, \x41    as they are: no byte is written so
    /// ```
    package var printable: String {
        let isValid = String(validating: bytes, as: UTF8.self)
        if let isValid, !bytes.contains(Self.backslash) { return isValid }
        let invalid = isValid == nil ? invalidBytes : []
        var printed: [UInt8] = []
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            if invalid.contains(position) {
                printed += "\\x\(Hex.text(UInt64(byte), digits: 2, uppercase: true))".utf8
                position += 1
            } else if byte == Self.backslash {
                let end = bytes[position...].firstIndex { $0 != Self.backslash } ?? bytes.count
                let isDoubled = invalid.contains(end) || looksEscaped(at: end)
                printed += [UInt8](repeating: byte, count: (end - position) * (isDoubled ? 2 : 1))
                position = end
            } else {
                printed.append(byte)
                position += 1
            }
        }
        return String(decoding: printed, as: UTF8.self)
    }

    private static let backslash = UInt8(ascii: "\\")

    /// The places of bytes that are not UTF-8; these bytes are 80 and above.
    private var invalidBytes: Set<Int> {
        var found: Set<Int> = []
        var parser = UTF8.ForwardParser()
        var rest = bytes.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let encoded): position += encoded.count
            case .error(let count):
                found.formUnion(position..<position + count)
                position += count
            case .emptyInput: return found
            }
        }
    }

    /// Returns true if the text after a backslash reads like that of an escaped byte: `x80` to `xFF`.
    private func looksEscaped(at position: Int) -> Bool {
        let digits = bytes[position...].prefix(3).dropFirst()
        guard bytes[position...].first == UInt8(ascii: "x"), digits.count == 2 else { return false }
        return (Array("89ABCDEF".utf8)).contains(digits[position + 1])
            && Array("0123456789ABCDEF".utf8).contains(digits[position + 2])
    }

    package static func < (left: ForeignText, right: ForeignText) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// The name of an Asynq queue, verbatim (Asynq neither escapes nor validates it beyond "not blank").
package typealias QueueName = ForeignText
/// The type of an Asynq task (`TaskMessage` field 1), verbatim.
package typealias TaskType = ForeignText
