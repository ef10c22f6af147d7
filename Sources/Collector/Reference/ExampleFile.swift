import Text

/// A configuration file with every key, each a comment: what it is, and its default, or an example where it has none.
enum ExampleFile {
    private static let width = 110

    static var text: String {
        let head = """
            asynq-collector: every setting, each with its default, or with an example where it has none. Take the # from those that \
            you change; asynq-collector check-config --config FILE says what is wrong, and what is in force. \
            asynq-collector help KEY tells more of one. This file is made from the code.
            """
        let comment = Paragraph.lines(head, width: width - 2).map { "# " + $0 }
        return (comment + [""]).joined(separator: "\n") + "\n" + YAMLTree.text(lines)
    }

    private static func lines(_ key: any DeclaredKey, _ name: Substring) -> [String] {
        var facts = [key.kind.range.map { "\(key.kind.typeName): \($0)" } ?? key.kind.typeName]
        if key.defaultText.isEmpty { facts.append("not set by default") }
        if key.isReloadable { facts.append("SIGHUP applies it") }
        let comment = Paragraph.lines("\(key.help) (\(facts.joined(separator: "; ")))", width: width - 6)
        let text = key.defaultText.isEmpty ? key.example : key.defaultText
        return comment.map { "# " + $0 } + ["# \(name): \(YAMLTree.value(text, key.kind))"]
    }
}
