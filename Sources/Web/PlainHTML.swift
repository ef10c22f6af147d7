import Model
import Text

/// Pieces of HTML. Text from outside never becomes markup, and its direction ends with it.
enum PlainHTML {
    /// The number of characters above which a text ends in an ellipsis; the whole is its tooltip.
    private static let maxCharacters = 60

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    /// Returns a name from outside as HTML.
    static func foreign(_ text: String) -> String { cut(VisibleText.escaped(text, isName: true)) }

    /// Returns a text from outside, which may have several lines, on one line.
    static func message(_ text: ForeignText) -> String { cut(VisibleText.escaped(text.printable)) }

    private static func cut(_ text: String) -> String {
        guard text.count > maxCharacters else { return "<bdi>\(escaped(text))</bdi>" }
        return "<bdi title=\"\(escaped(text))\">\(escaped(String(text.prefix(maxCharacters - 1))))…</bdi>"
    }

    static func foreign(_ text: ForeignText?) -> String { text.map { foreign($0.printable) } ?? "–" }

    /// Returns a text from outside in full.
    static func whole(_ text: String) -> String { "<bdi>\(escaped(VisibleText.escaped(text)))</bdi>" }

    /// Returns the name of a queue as a link to its document.
    static func queue(_ name: QueueName?) -> String {
        guard let name else { return "–" }
        return
            "<a href=\"\(QueuePath.document(of: name.printable))\">\(self.name(name))</a>"
    }

    /// Returns the name of a queue.
    static func name(_ name: QueueName) -> String { name.bytes.isEmpty ? VisibleText.noName : foreign(name) }

    /// Returns a table with its heading. The cells are HTML; those of the first column are headings of their rows, and
    /// columns whose name ends in `#` have numbers.
    static func section(_ heading: String, _ columns: [String], _ rows: [[String]]) -> String {
        if rows.isEmpty { return "" }
        func isNumber(_ column: Int) -> Bool { columns[column].hasSuffix("#") }
        let heads = columns.indices.map { column in
            let name = isNumber(column) ? String(columns[column].dropLast()) : columns[column]
            return "<th scope=\"col\"\(isNumber(column) ? " class=\"n\"" : "")>\(name)</th>"
        }
        var table = "<section class=\"panel\"><h2>\(heading)</h2>\n"
        table += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"\(heading)\"><table><thead><tr>"
        table += heads.joined() + "</tr></thead><tbody>\n"
        for row in rows {
            let cells = row.enumerated().map { column, cell in
                column == 0
                    ? "<th scope=\"row\">\(cell)</th>" : "<td\(isNumber(column) ? " class=\"n\"" : "")>\(cell)</td>"
            }
            table += "<tr>\(cells.joined())</tr>\n"
        }
        return table + "</tbody></table></div></section>\n"
    }

    /// Returns a heading, and HTML below it.
    static func panel(_ heading: String, _ html: String) -> String {
        "<section class=\"panel\"><h2>\(heading)</h2>\n\(html)</section>\n"
    }

    /// Returns lines of a program as HTML.
    static func code(_ text: String) -> String { "<pre><code>\(escaped(text))</code></pre>\n" }

    /// Returns a table of names and values, without a heading row.
    static func facts(_ heading: String, _ rows: [(name: String, value: String)]) -> String {
        let lines = rows.map { "<tr><th scope=\"row\">\($0.name)</th><td class=\"n\">\($0.value)</td></tr>\n" }
        return panel(heading, "<table><tbody>\n\(lines.joined())</tbody></table>")
    }
}
