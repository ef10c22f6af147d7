/// Text from outside in which everything can be seen, as the status page shows it.
package enum VisibleText {
    /// Stands for a name without any character.
    package static let noName = "(no name)"

    /// Returns a name for a sentence: its beginning, as `SafeText.oneLine` has it. A name without any ink is escaped as a
    /// whole. The status page finds the name in the sentence (format.js, `said`).
    package static func name(_ text: String, maxScalars: Int) -> String {
        if text.isEmpty { return noName }
        let scalars = text.unicodeScalars.prefix(maxScalars)
        if scalars.allSatisfy(isBlank) { return scalars.reduce(into: "") { $0 += code($1) } }
        return SafeText.oneLine(text, maxScalars: maxScalars)
    }

    /// Returns the text on one line: spaces for line ends and tabs, `\u{…}` for what can't be seen. Marks that turn text
    /// around stay, since they show by what they do. A text without any ink is escaped as a whole.
    ///
    /// - Parameter isName: True for a name, whose line ends and tabs are escaped as well.
    package static func escaped(_ text: String, isName: Bool = false) -> String {
        if text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return text }
        let scalars = Array(text.unicodeScalars)
        if scalars.allSatisfy(isBlank) { return scalars.reduce(into: "") { $0 += code($1) } }
        var escaped = ""
        for (index, scalar) in scalars.enumerated() {
            if !isUnseen(scalar) || joins(scalars, at: index) {
                escaped.unicodeScalars.append(scalar)
            } else {
                escaped += !isName && scalar.properties.isWhitespace ? " " : code(scalar)
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

    /// Returns true for selectors, tags and joiners that belong to what is beside them: in emoji, behind ideographs, and
    /// within words of scripts whose letters join.
    private static func joins(_ scalars: [Unicode.Scalar], at index: Int) -> Bool {
        guard index > 0 else { return false }
        let before = scalars[index - 1]
        let after = index + 1 < scalars.count ? scalars[index + 1] : nil
        switch scalars[index].value {
        case 0xFE0E where isPicture(before), 0xFE0F where isPicture(before): return true
        case 0xFE0F: return after?.value == 0x20E3
        case 0xFE00...0xFE02, 0xE0100...0xE01EF: return selectsIdeograph(scalars, at: index)
        case 0x180B...0x180D, 0x180F: return (0x1820...0x18AA).contains(before.value)
        case 0x200C: return joinsLetters(scalars, at: index)
        case 0x200D:
            let isSelected = before.value == 0xFE0F && index > 1 && isPicture(scalars[index - 2])
            return (isPicture(before) || isSelected) && isPicture(after) || joinsLetters(scalars, at: index)
        case 0xE0020...0xE007F: return isTagOfFlag(scalars, at: index)
        default: return false
        }
    }

    /// Returns true for a joiner between two letters of scripts in which it shapes words.
    package static func joinsLetters(_ scalars: [Unicode.Scalar], at index: Int) -> Bool {
        index > 0 && index + 1 < scalars.count && hasJoiners(scalars[index - 1]) && hasJoiners(scalars[index + 1])
    }

    /// Returns true for a selector of an ideograph's form.
    package static func selectsIdeograph(_ scalars: [Unicode.Scalar], at index: Int) -> Bool {
        guard index > 0, scalars[index - 1].properties.isIdeographic else { return false }
        return (0xFE00...0xFE02).contains(scalars[index].value) || (0xE0100...0xE01EF).contains(scalars[index].value)
    }

    /// Returns true for a tag of a flag of a part of a country: U+1F3F4, the letters of its code (`gbeng`), and the end.
    package static func isTagOfFlag(_ scalars: [Unicode.Scalar], at index: Int) -> Bool {
        let isTag = { (scalar: Unicode.Scalar) in (0xE0020...0xE007F).contains(scalar.value) }
        guard isTag(scalars[index]), let flag = scalars[..<index].lastIndex(where: { !isTag($0) }),
            scalars[flag].value == 0x1F3F4
        else { return false }
        let tags = scalars[(flag + 1)...].prefix(while: isTag)
        let letters = tags.dropLast().map { $0.value & 0x7F }
        return tags.last?.value == 0xE007F && (3...6).contains(letters.count)
            && letters.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
    }

    private static func isPicture(_ scalar: Unicode.Scalar?) -> Bool {
        scalar.map { $0.value > 0x7F && $0.properties.isEmoji } ?? false
    }

    /// The scripts in whose words joiners stand: Arabic, Syriac and their like, Indic ones, Tibetan, Myanmar, Khmer,
    /// Mongolian.
    private static let joining: [ClosedRange<UInt32>] = [
        0x620...0x8FF, 0x900...0xDFF, 0xF00...0xFFF, 0x1000...0x109F, 0x1780...0x17DD, 0x1820...0x18AA,
    ]

    private static func hasJoiners(_ scalar: Unicode.Scalar) -> Bool {
        joining.contains { $0.contains(scalar.value) }
    }

    private static func code(_ scalar: Unicode.Scalar) -> String {
        "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
}
