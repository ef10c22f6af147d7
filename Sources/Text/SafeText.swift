/// Makes text from outside safe to show: on a terminal, in a log, on a page.
package enum SafeText {
    /// Returns true if a scalar can change how its neighbours are shown, or what a terminal does: C0 and C1 control
    /// characters, DEL, and those that set the direction of text or the end of a line (Unicode Bidi_Control, U+2028,
    /// U+2029).
    package static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// Returns the text on one line, without spaces at its end: spaces for line ends and tabs, `\u{…}` for the rest of it.
    ///
    /// - Parameter maxScalars: The number of scalars behind which the text is cut.
    package static func oneLine(_ text: some StringProtocol, maxScalars: Int = .max) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(maxScalars) {
            if !isHarmful(scalar) {
                shown.unicodeScalars.append(scalar)
            } else if scalar.properties.isWhitespace {
                shown += " "
            } else {
                shown += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            }
        }
        while shown.last == " " { shown.removeLast() }
        return shown
    }
}
