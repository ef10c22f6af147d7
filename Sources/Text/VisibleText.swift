/// Text from outside in which everything can be seen, as the status page shows it.
package enum VisibleText {
    /// Returns the text on one line: spaces for line ends and tabs, `\u{…}` for what can't be seen. Marks that turn text
    /// around stay, since they show by what they do. A text without any ink is escaped as a whole.
    package static func escaped(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return text }
        let scalars = Array(text.unicodeScalars)
        if scalars.allSatisfy(isBlank) { return scalars.reduce(into: "") { $0 += code($1) } }
        var escaped = ""
        for (index, scalar) in scalars.enumerated() {
            if !isUnseen(scalar) || joins(scalars, at: index) {
                escaped.unicodeScalars.append(scalar)
            } else {
                escaped += scalar.properties.isWhitespace ? " " : code(scalar)
            }
        }
        return escaped
    }

    /// Returns true for a scalar without ink: a space, or one that can't be seen or turns text around.
    package static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || scalar.value == 0x2800 || isUnseen(scalar) || turnsText(scalar)
    }

    /// Returns true for control characters and for what takes no place on a line (Unicode Default_Ignorable_Code_Point).
    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFFF9...0xFFFB: true
        default: scalar.properties.isDefaultIgnorableCodePoint && !turnsText(scalar)
        }
    }

    private static func turnsText(_ scalar: Unicode.Scalar) -> Bool {
        (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }

    /// Returns true for selectors and joiners that belong to what is beside them: in emoji, and within words of Arabic and
    /// Indic scripts.
    private static func joins(_ scalars: [Unicode.Scalar], at index: Int) -> Bool {
        guard index > 0 else { return false }
        let before = scalars[index - 1]
        let after = index + 1 < scalars.count ? scalars[index + 1] : nil
        switch scalars[index].value {
        case 0xFE0E where isPicture(before), 0xFE0F where isPicture(before): return true
        case 0xFE0F: return after?.value == 0x20E3
        case 0x200C: return hasJoiners(before) && hasJoiners(after)
        case 0x200D:
            let isSelected = before.value == 0xFE0F && index > 1 && isPicture(scalars[index - 2])
            return (isPicture(before) || isSelected) && isPicture(after) || hasJoiners(before) && hasJoiners(after)
        default: return false
        }
    }

    private static func isPicture(_ scalar: Unicode.Scalar?) -> Bool {
        scalar.map { $0.value > 0x7F && $0.properties.isEmoji } ?? false
    }

    private static func hasJoiners(_ scalar: Unicode.Scalar?) -> Bool {
        scalar.map { (0x620...0x6FF).contains($0.value) || (0x900...0xDFF).contains($0.value) } ?? false
    }

    private static func code(_ scalar: Unicode.Scalar) -> String {
        "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
}
