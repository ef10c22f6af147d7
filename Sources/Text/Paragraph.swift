/// Breaks texts for people into lines.
package enum Paragraph {
    /// Returns the words of a text in lines of at most `width` characters; a longer word has a line of its own. Each
    /// line begins with the indentation, which counts.
    package static func lines(_ text: String, width: Int, indentation: Int = 0) -> [String] {
        let margin = String(repeating: " ", count: indentation)
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            if line.isEmpty {
                line = margin + word
            } else if line.count + 1 + word.count <= width {
                line += " " + word
            } else {
                lines.append(line)
                line = margin + word
            }
        }
        return line.isEmpty ? lines : lines + [line]
    }

    /// Returns a term with its explanation: beside it, from column `indentation` on, or below it where one of the two
    /// is too long.
    package static func entry(_ term: String, _ text: String, width: Int, indentation: Int) -> [String] {
        var lines = lines(text, width: width, indentation: indentation)
        if term.count >= indentation || lines.isEmpty || lines[0].count > width { return [term] + lines }
        lines[0] = term + String(repeating: " ", count: indentation - term.count) + lines[0].dropFirst(indentation)
        return lines
    }
}
