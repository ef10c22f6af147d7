import Text

/// Text as a terminal shows it: the number of its cells, and the characters that must not reach a terminal.
package enum TerminalText {
    /// Returns text from outside, safe to print on one line. Control characters, those that change the direction or the
    /// width of their neighbours, and those that can't be seen are escaped as `\u{1b}`, and so is a text without any ink.
    /// Selectors and modifiers of emoji, whose width terminals do not agree on, are left out, and so are those of ideographs;
    /// the tags of a flag are letters behind it. Spaces stay, since they part what is on a line: see `name`.
    package static func escaped(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
        let scalars = Array(text.unicodeScalars)
        let isBlank = scalars.allSatisfy(VisibleText.isBlank)
        var escaped = ""
        for (index, scalar) in scalars.enumerated() {
            let previous = index > 0 ? scalars[index - 1] : nil
            if isDropped(scalar, after: previous) || VisibleText.selectsIdeograph(scalars, at: index) { continue }
            if VisibleText.isTagOfFlag(scalars, at: index) {
                if let letter = Unicode.Scalar(scalar.value & 0x7F), letter.value != 0x7F {
                    escaped.unicodeScalars.append(letter)
                }
            } else if joiners.contains(scalar.value), VisibleText.joinsLetters(scalars, at: index) {
                escaped.unicodeScalars.append(scalar)
            } else if isBlank || isUnsafe(scalar) {
                escaped += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    private static let joiners: ClosedRange<UInt32> = 0x200C...0x200D

    /// Returns a name from outside, so that it can be seen even where it is empty, or has nothing but spaces.
    package static func name(_ text: String) -> String {
        if text.isEmpty { return VisibleText.noName }
        if text.utf8.contains(where: { $0 != 0x20 }) { return escaped(text) }
        return String(repeating: "\\u{20}", count: text.utf8.count)
    }

    /// Returns true for variation selectors and skin tones behind an emoji: they only change its appearance.
    private static func isDropped(_ scalar: Unicode.Scalar, after previous: Unicode.Scalar?) -> Bool {
        guard let previous, previous.properties.isEmoji else { return false }
        return (0xFE00...0xFE0F).contains(scalar.value) || (0x1F3FB...0x1F3FF).contains(scalar.value)
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
        default: scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    /// Returns the number of cells that text takes once it is escaped.
    package static func width(_ text: some StringProtocol) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x7F }) { return text.utf8.count }
        return text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    /// Returns 0 for a scalar that combines with the character before it, 2 for wide ones (CJK, emoji), else 1.
    static func width(_ scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return 1 }
        if joiners.contains(scalar.value) { return 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: break
        }
        // These are the vowels and final consonants of Hangul, which join the syllable before them.
        if (0x1160...0x11FF).contains(scalar.value) { return 0 }
        if wideRanges.contains(where: { $0.contains(scalar.value) }) { return 2 }
        let isFlagLetter = (0x1F1E6...0x1F1FF).contains(scalar.value)
        return scalar.properties.isEmojiPresentation && !isFlagLetter ? 2 : 1
    }

    /// The blocks that are East Asian Wide or Fullwidth throughout (Unicode Standard Annex 11).
    private static let wideRanges: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x16FE0...0x18CFF, 0x1B000...0x1B2FF, 0x1F200...0x1F265, 0x20000...0x3FFFD,
    ]

    /// Returns the longest beginning that fits into a number of cells, with `…` where something was cut off.
    package static func cut(_ text: String, to cells: Int) -> String {
        if width(text) <= cells { return text }
        if cells <= 0 { return "" }
        var cut = String.UnicodeScalarView()
        var used = 0
        for scalar in text.unicodeScalars {
            let next = width(scalar)
            if used + next > cells - 1 { break }
            cut.append(scalar)
            used += next
        }
        return String(cut) + "…"
    }

    /// Returns lines of at most `cells`, broken at blanks where there are any; the last of them is cut.
    package static func wrapped(_ text: String, to cells: Int, maxLines: Int) -> [String] {
        var lines: [String] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            if lines.count == maxLines - 1 || width(rest) <= cells {
                lines.append(cut(String(rest), to: cells))
                break
            }
            let end = breakIndex(rest, cells)
            lines.append(String(rest[..<end]))
            rest = rest[end...].drop { $0 == " " }
        }
        return lines.isEmpty ? [""] : lines
    }

    private static func breakIndex(_ text: Substring, _ cells: Int) -> Substring.Index {
        var used = 0
        var lastBlank: Substring.Index?
        var index = text.startIndex
        while index < text.endIndex {
            used += width(text[index...index])
            if text[index] == " " { lastBlank = index }
            if used > cells { break }
            index = text.index(after: index)
        }
        // A line has at least one character, or it would be empty.
        return lastBlank ?? max(index, text.index(after: text.startIndex))
    }
}
