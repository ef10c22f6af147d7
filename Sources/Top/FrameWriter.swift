/// Turns frames into the bytes that a terminal obeys. Lines that did not change since the last frame are not sent
/// again.
package struct FrameWriter {
    /// The abilities of the terminal and its environment.
    package struct Looks: Sendable, Equatable {
        package var hasColours: Bool
        /// True if the terminal shows UTF-8. Without it, block characters and texts beyond ASCII are put into ASCII.
        package var isUTF8: Bool

        package init(hasColours: Bool, isUTF8: Bool) {
            self.hasColours = hasColours
            self.isUTF8 = isUTF8
        }
    }

    private let looks: Looks
    private var shown: [Line] = []

    package init(_ looks: Looks) {
        self.looks = looks
    }

    /// Makes the next frame be sent whole.
    package mutating func forget() {
        shown = []
    }

    /// Returns the bytes that make a screen of `columns` show `lines`: each line that differs, in its place.
    package mutating func update(to lines: [Line], columns: Int) -> String {
        var bytes = shown.isEmpty ? "\u{1B}[H\u{1B}[2J" : ""
        for (row, line) in lines.enumerated() where row >= shown.count || shown[row] != line {
            bytes += "\u{1B}[\(row + 1);1H" + encoded(line)
            // Behind the last cell the cursor still stands on it, and would erase it.
            if line.width < columns { bytes += "\u{1B}[K" }
        }
        if shown.count > lines.count { bytes += "\u{1B}[\(lines.count + 1);1H\u{1B}[J" }
        shown = lines
        return bytes
    }

    /// Returns the frame as a text, each line with its end.
    package func text(_ lines: [Line]) -> String {
        lines.map { looks.hasColours ? encoded($0) + "\n" : letters($0.text) + "\n" }.joined()
    }

    private func encoded(_ line: Line) -> String {
        var bytes = ""
        for run in line.runs {
            let codes = codes(of: run.style, isSelected: line.isSelected)
            bytes += codes.isEmpty ? letters(run.text) : "\u{1B}[\(codes)m" + letters(run.text) + "\u{1B}[m"
        }
        return bytes
    }

    /// Returns the codes of Select Graphic Rendition. Bold, faint and reverse are allowed without colours.
    private func codes(of style: Style, isSelected: Bool) -> String {
        let code: String? =
            switch style {
            case .plain: nil
            case .dim: isSelected ? nil : "2"
            case .bold: "1"
            case .good: looks.hasColours ? "32" : nil
            case .info: looks.hasColours ? "36" : nil
            case .warning: looks.hasColours ? "33" : nil
            case .critical: looks.hasColours ? "1;31" : "1"
            }
        return [isSelected ? "7" : nil, code].compactMap(\.self).joined(separator: ";")
    }

    private func letters(_ text: String) -> String {
        if looks.isUTF8 || text.utf8.allSatisfy({ $0 < 0x7F }) { return text }
        return text.unicodeScalars.map { Self.ascii($0) }.joined()
    }

    /// Returns as many cells of ASCII as the character takes.
    private static func ascii(_ scalar: Unicode.Scalar) -> String {
        if scalar.isASCII { return String(scalar) }
        if let replacement = replacements[scalar] { return replacement }
        return String(repeating: "?", count: TerminalText.width(scalar))
    }

    private static let replacements: [Unicode.Scalar: String] = [
        "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": " ", "▎": " ", "▏": " ", "▓": "%", "▒": "+", "░": ".",
        "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "…": "~", "–": "-", "·": "-", "µ": "u",
        "↑": "^", "↓": "v", "×": "x", "✓": "+",
    ]
}
