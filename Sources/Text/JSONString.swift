/// Texts as JSON writes them (RFC 8259, 7).
package enum JSONString {
    /// Returns a text with its quotes. Control characters (C0, DEL, C1) are escaped, and so are those that change the
    /// direction of text or end a line: a log or a document can be shown on any terminal. All else stands as it is.
    package static func quoted(_ text: String) -> String {
        if isPlain(text) { return "\"" + text + "\"" }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where SafeText.isHarmful(scalar): quoted += "\\u" + Hex.text(UInt64(scalar.value), digits: 4)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// True for a text of printable ASCII characters that stand as they are: most names and sentences.
    static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy {
            (UInt8(ascii: " ")...UInt8(ascii: "~")).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
    }
}
