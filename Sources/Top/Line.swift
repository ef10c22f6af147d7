/// The style of a piece of text. Its meaning does not need colours: the text says it too.
package enum Style: Sendable, Equatable {
    case plain
    case dim
    case bold
    case good
    case info
    case warning
    case critical
}

/// One line of a frame: text with styles, without bytes that a terminal would obey.
package struct Line: Equatable, Sendable {
    struct Run: Equatable, Sendable {
        var text: String
        let style: Style
    }

    private(set) var runs: [Run] = []
    /// The number of cells that the text takes.
    package private(set) var width = 0
    /// True if the line is drawn in reverse, over the whole width.
    package var isSelected = false

    package enum Alignment {
        case left
        case right
    }

    package init() {}

    package init(_ text: String, _ style: Style = .plain) {
        add(text, style)
    }

    /// Adds text of any origin; it is escaped here.
    package mutating func add(_ text: String, _ style: Style = .plain) {
        append(TerminalText.escaped(text), style)
    }

    /// Adds text of exactly `width` cells: padded with blanks, or cut with `…`.
    package mutating func add(_ text: String, _ style: Style = .plain, width: Int, _ alignment: Alignment = .left) {
        let fitting = TerminalText.cut(TerminalText.escaped(text), to: width)
        let blanks = String(repeating: " ", count: max(0, width - TerminalText.width(fitting)))
        if alignment == .right { append(blanks, .plain) }
        append(fitting, style)
        if alignment == .left { append(blanks, .plain) }
    }

    package mutating func add(_ line: Line) {
        for run in line.runs { append(run.text, run.style) }
    }

    /// Adds blanks until the line has this number of cells.
    package mutating func pad(to cells: Int) {
        append(String(repeating: " ", count: max(0, cells - width)), .plain)
    }

    private mutating func append(_ escaped: String, _ style: Style) {
        if escaped.isEmpty { return }
        width += TerminalText.width(escaped)
        if let last = runs.last, last.style == style {
            runs[runs.count - 1].text += escaped
        } else {
            runs.append(Run(text: escaped, style: style))
        }
    }

    /// Returns the line, cut to a number of cells.
    package func cut(to cells: Int) -> Line {
        if width <= cells { return self }
        var cut = Line()
        cut.isSelected = isSelected
        for run in runs {
            let space = cells - cut.width
            if space <= 0 { break }
            let isLast = TerminalText.width(run.text) >= space
            // The rest is cut as well, so the ellipsis is due even where this piece fits.
            cut.append(isLast ? TerminalText.cut(run.text + " ", to: space) : run.text, run.style)
            if isLast { break }
        }
        return cut
    }

    /// The text alone, without blanks at its end.
    package var text: String {
        var text = Substring(runs.map(\.text).joined())
        while text.hasSuffix(" ") { text.removeLast() }
        return String(text)
    }
}
