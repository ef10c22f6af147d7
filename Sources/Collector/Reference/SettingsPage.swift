/// Every setting, in Markdown, for docs/CONFIGURATION.md.
enum SettingsPage {
    static var text: String {
        KeyTable.groups.map { group in
            "## \(group.title)\n\n" + group.keys.map(section).joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func section(_ key: any DeclaredKey) -> String {
        var first = ["**Type** \(key.kind.range.map { "\(key.kind.typeName): \($0)" } ?? key.kind.typeName)"]
        first.append("**default** \(key.defaultText.isEmpty ? "not set" : code(key.defaultText))")
        first.append("**example** \(code(key.example))")
        let file = key.kind.isSecret ? ", or \(code(key.environment + "_FILE"))" : ""
        var second = ["**Environment** \(code(key.environment))\(file)", "**reload** \(key.reloadText)"]
        second.append("**since** \(key.since)")
        if let page = KeyTable.page(of: key) { second.append("**more** in \(link(page))") }
        return """
            ### `\(key.name)`

            \(key.help)

            - \(first.joined(separator: " · "))
            - \(second.joined(separator: " · "))

            """
    }

    private static func code(_ text: String) -> String { "`\(text)`" }

    /// Returns a link relative to `docs`.
    private static func link(_ page: String) -> String {
        let target = page.hasPrefix("docs/") ? String(page.dropFirst("docs/".count)) : "../" + page
        return "[\(target.prefix { $0 != "#" })](\(target))"
    }
}
