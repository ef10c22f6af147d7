/// A key as the view takes it.
package enum TopKey: Equatable, Sendable {
    case character(Character)
    case up, down, left, right
    case pageUp, pageDown, home, end
    case enter, escape, backspace
    /// Ctrl-C, where the terminal makes no signal of it.
    case interrupt
    /// Ctrl-L: the screen is drawn anew.
    case redraw
}

/// Reads keys from the bytes of a terminal, which may cut a key's sequence anywhere.
///
/// ```
/// ESC                     alone, once nothing follows it: the key
/// ESC [ A   ESC O A       arrows, Home and End
/// ESC [ 5 ~               Page Up and the like
/// ESC [ … final           any other sequence is passed over
/// ```
package struct TopKeyReader {
    private static let escape: UInt8 = 0x1B
    private var pending: [UInt8] = []

    package init() {}

    /// True while a sequence has begun and not ended. When nothing follows for a moment, `flush` ends it.
    package var isWaiting: Bool { !pending.isEmpty }

    package mutating func read(_ bytes: some Sequence<UInt8>) -> [TopKey] {
        pending += bytes
        var keys: [TopKey] = []
        while let (key, count) = next() {
            pending.removeFirst(count)
            if let key { keys.append(key) }
        }
        return keys
    }

    /// Returns the keys of a sequence that was not ended: an escape alone is that key.
    package mutating func flush() -> [TopKey] {
        defer { pending = [] }
        return pending == [Self.escape] ? [.escape] : []
    }

    /// Returns the first key and its number of bytes; nil where more bytes are needed.
    private func next() -> (key: TopKey?, count: Int)? {
        guard let first = pending.first else { return nil }
        switch first {
        case Self.escape: return sequence()
        case 0x03: return (.interrupt, 1)
        case 0x0C: return (.redraw, 1)
        case 0x0A, 0x0D: return (.enter, 1)
        case 0x08, 0x7F: return (.backspace, 1)
        case ..<0x20: return (nil, 1)
        case ..<0x80: return (.character(Character(Unicode.Scalar(first))), 1)
        default: return character()
        }
    }

    private func sequence() -> (key: TopKey?, count: Int)? {
        guard pending.count >= 2 else { return nil }
        guard pending[1] == UInt8(ascii: "[") || pending[1] == UInt8(ascii: "O") else { return (.escape, 1) }
        guard let end = pending[2...].firstIndex(where: { (0x40...0x7E).contains($0) }) else {
            // Every terminal's sequences are shorter.
            return pending.count > 32 ? (nil, pending.count) : nil
        }
        let parameters = String(decoding: pending[2..<end], as: UTF8.self)
        return (Self.key(final: pending[end], parameters), end + 1)
    }

    private static func key(final: UInt8, _ parameters: String) -> TopKey? {
        switch (final, parameters) {
        case (UInt8(ascii: "A"), _): .up
        case (UInt8(ascii: "B"), _): .down
        case (UInt8(ascii: "C"), _): .right
        case (UInt8(ascii: "D"), _): .left
        case (UInt8(ascii: "H"), _), (UInt8(ascii: "~"), "1"), (UInt8(ascii: "~"), "7"): .home
        case (UInt8(ascii: "F"), _), (UInt8(ascii: "~"), "4"), (UInt8(ascii: "~"), "8"): .end
        case (UInt8(ascii: "~"), "5"): .pageUp
        case (UInt8(ascii: "~"), "6"): .pageDown
        case (UInt8(ascii: "M"), ""): .enter
        default: nil
        }
    }

    /// Reads a character of several bytes; malformed bytes are passed over.
    private func character() -> (key: TopKey?, count: Int)? {
        let first = pending[0]
        guard (0xC2...0xF4).contains(first) else { return (nil, 1) }
        let count = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        let rest = pending[1..<min(count, pending.count)]
        if !rest.allSatisfy({ $0 & 0xC0 == 0x80 }) { return (nil, 1) }
        guard pending.count >= count else { return nil }
        guard let text = String(validating: pending[..<count], as: UTF8.self), let character = text.first else {
            return (nil, 1)
        }
        return (.character(character), count)
    }
}
