import CPage

/// Shows docs/RUNBOOK.md as a page, so that the link of a trouble leads somewhere wherever the collector runs. It knows
/// what that file has of Markdown: headings, paragraphs, lists, `code`, **strong**, *emphasis*, and links.
enum RunbookPage {
    static let html: [UInt8] = {
        let file = page_runbook()
        let text = String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.count), as: UTF8.self)
        let head = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
            <title>Runbook · asynq-collector</title>
            <link rel="icon" type="image/svg+xml" href="assets/\(PageFiles.hash)/icon.svg">
            <link rel="stylesheet" href="assets/\(PageFiles.hash)/style.css">
            </head><body><main class="plain">
            <p><a href="./">Back to the status page</a></p>

            """
        return Array((head + body(text) + "</main></body></html>\n").utf8)
    }()

    static func body(_ markdown: String) -> String {
        var html = ""
        var paragraph: [Substring] = []
        var items: [[Substring]] = []
        func close() {
            if !paragraph.isEmpty { html += "<p>\(inline(paragraph.joined(separator: "\n")))</p>\n" }
            if !items.isEmpty {
                let list = items.map { "<li>\(inline($0.joined(separator: "\n")))</li>\n" }.joined()
                html += "<ul>\n\(list)</ul>\n"
            }
            paragraph = []
            items = []
        }
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
            let level = line.prefix { $0 == "#" }.count
            if line.isEmpty || line.hasPrefix("<a id=") {
                close()
            } else if level > 0, line.dropFirst(level).hasPrefix(" ") {
                close()
                let text = String(line.dropFirst(level + 1))
                html += "<h\(level) id=\"\(anchor(text))\">\(inline(text))</h\(level)>\n"
            } else if line.hasPrefix("- ") {
                if items.isEmpty { close() }
                items.append([line.dropFirst(2)])
            } else if line.hasPrefix("  "), let last = items.indices.last {
                items[last].append(line.dropFirst(2))
            } else {
                if !items.isEmpty { close() }
                paragraph.append(line)
            }
        }
        close()
        return html
    }

    private static func anchor(_ heading: String) -> String {
        String(heading.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" })
    }

    private static func inline(_ text: String) -> String {
        // Every second part is code.
        let parts = PlainHTML.escaped(text).split(separator: "`", omittingEmptySubsequences: false)
        return parts.enumerated().map { index, part in
            index % 2 == 1 ? "<code>\(part)</code>" : emphasized(linked(String(part)))
        }.joined()
    }

    private static func emphasized(_ text: String) -> String {
        var html = text
        for (mark, tag) in [("**", "strong"), ("*", "em")] {
            let parts = html.split(separator: mark, omittingEmptySubsequences: false)
            // A mark without its other half stays.
            if parts.count % 2 == 0 { continue }
            html = parts.enumerated().map { index, part in
                index % 2 == 1 ? "<\(tag)>\(part)</\(tag)>" : String(part)
            }.joined()
        }
        return html
    }

    /// Keeps links within the page; those to other files, which are not served, become their text.
    private static func linked(_ text: String) -> String {
        var html = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "["), let middle = rest[open...].firstRange(of: "]("),
            let close = rest[middle.upperBound...].firstIndex(of: ")")
        {
            let name = rest[rest.index(after: open)..<middle.lowerBound]
            let target = rest[middle.upperBound..<close]
            html += rest[..<open]
            html += target.hasPrefix("#") ? "<a href=\"\(target)\">\(name)</a>" : name
            rest = rest[rest.index(after: close)...]
        }
        return html + rest
    }
}
