package import Model

/// The value of a label, as the text formats write it between quotes. It is made once, when the name is new.
///
/// ```
/// a"b           a\"b       escaped as the text format 0.0.4 and OpenMetrics both ask: backslash, newline, quote
/// a FF          a\\xFF     a byte that is not UTF-8 (`ForeignText.printable`): one of them would make Prometheus refuse the page
/// 300 letters   253 of them and `…`
/// ```
package struct LabelText: Sendable {
    /// The longest value, before it is escaped for a format, which may double it. A longer one is cut at a character.
    package static let maxBytes = 256
    /// The mark at the end of a value that was cut.
    package static let mark = Array("…".utf8)

    package let escaped: [UInt8]
    /// True if a part of the name is missing, so that another name may look alike.
    package let isCut: Bool

    package init(_ name: ForeignText) {
        let isPlain = name.bytes.allSatisfy { $0 < 0x80 && $0 != UInt8(ascii: "\\") }
        let printable = isPlain ? name.bytes : Array(name.printable.utf8)
        isCut = printable.count > Self.maxBytes
        let text = isCut ? Self.cut(printable) + Self.mark : printable
        escaped = text.contains(where: Self.needsEscape) ? Self.escape(text) : text
    }

    package init(_ text: String) {
        self.init(ForeignText(text))
    }

    /// Returns the part of a name that tells it apart from other names, at most 256 bytes.
    package static func cutName(_ bytes: UnsafeRawBufferPointer) -> ForeignText {
        guard bytes.count > maxBytes else { return ForeignText(bytes) }
        let kept = ForeignText(UnsafeRawBufferPointer(rebasing: bytes.prefix(maxBytes + 4))).cut(
            to: maxBytes - mark.count)
        return ForeignText(kept.bytes + mark)
    }

    /// Returns the text without half a character at its end, and without half of an escaped byte (`\xFF`).
    private static func cut(_ text: [UInt8]) -> ArraySlice<UInt8> {
        let kept = ForeignText(text).cut(to: maxBytes - mark.count).bytes[...]
        let tail = kept.suffix(3)
        return tail.lastIndex(of: UInt8(ascii: "\\")).map { kept[..<$0] } ?? kept
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n")
    }

    private static func escape(_ text: [UInt8]) -> [UInt8] {
        var escaped: [UInt8] = []
        escaped.reserveCapacity(text.count + text.count / 4)
        for byte in text {
            if needsEscape(byte) { escaped.append(UInt8(ascii: "\\")) }
            escaped.append(byte == UInt8(ascii: "\n") ? UInt8(ascii: "n") : byte)
        }
        return escaped
    }
}
