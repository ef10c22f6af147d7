import Text

/// Returns the texts of `--help`, `help COMMAND` and `help KEY`, in lines of at most `width` characters where words
/// allow it.
struct Help {
    static let configuration = """
        Each setting is a flag (--redis-url), an environment variable (ASYNQ_COLLECTOR_REDIS_URL) and a key of the YAML file that \
        --config names (redis: {url: …}). A flag wins over the environment, the environment over the file. A secret may stand in \
        a file of its own: --redis-password-file PATH. Durations are written 250ms, 5s, 1h30m, sizes 512KiB, 64MiB.
        """

    static let exitCodes = "0 ok, 1 runtime failure, 2 usage or configuration error"

    /// The topics that `text(about:)` knows by name.
    static var topics: [String] { Command.listed.map(\.rawValue) + KeyTable.all.map(\.name) }

    private let width: Int

    init(width: Int) {
        // Narrower lines than this can't be read.
        self.width = max(width, 40)
    }

    // MARK: Everything

    var overview: String {
        var lines = paragraph("asynq-collector: the observability sidecar for Asynq task queues.")
        lines += ["", "Usage: asynq-collector [COMMAND] [--KEY VALUE …]", "", "Commands:"]
        for command in Command.listed { lines += entry(command.usage, command.declaration.summary.capitalizedSentence) }
        lines += ["", "Options:"]
        lines += entry("--config FILE", "Reads settings from a YAML file.")
        lines += entry("-h, --help", "Prints this help, or with a command that of the command.")
        lines += entry("-V, --version", "Prints the version.")
        lines += ["", "Settings:"] + paragraph(Self.configuration, 2)
        lines += paragraph("asynq-collector help KEY tells more of one.", 2)
        for group in KeyTable.groups { lines += ["", group.title + ":"] + group.keys.flatMap(summary) }
        lines += [""] + paragraph("Exit codes: \(Self.exitCodes).")
        return text(lines)
    }

    private func summary(_ key: any DeclaredKey) -> [String] {
        ["  \(key.flag) \(key.kind.placeholder)"] + paragraph("\(key.help) [\(key.shownDefault)]", 6)
    }

    // MARK: One thing

    /// Returns the text about a command by its name, a key in any of its three forms, or all keys below a name such as
    /// `redis.tls`.
    func text(about topic: String) -> String? {
        if let command = Command(rawValue: topic) { return text(about: command) }
        if let key = KeyTable.all.first(where: { [$0.name, $0.flag, $0.environment].contains(topic) }) {
            return text(about: key)
        }
        let keys = KeyTable.all.filter { $0.name.hasPrefix(topic + ".") }
        return keys.isEmpty ? nil : text(keys.flatMap(summary))
    }

    func text(about command: Command) -> String {
        let declaration = command.declaration
        var lines = Paragraph.entry("Usage:", command.synopsis, width: width, indentation: 7)
        lines += [""] + paragraph(declaration.summary.capitalizedSentence)
        for part in declaration.paragraphs { lines += [""] + paragraph(part) }
        if !declaration.flags.isEmpty { lines += ["", "Flags:"] }
        for flag in declaration.flags { lines += ["  \(flag.usage)"] + paragraph(flag.help, 6) }
        if declaration.takesKeys {
            lines += [""] + paragraph("Takes every setting as a flag; asynq-collector --help lists them.")
        }
        return text(lines)
    }

    func text(about key: any DeclaredKey) -> String {
        var lines = [key.name, ""] + paragraph(key.help) + [""]
        func add(_ term: String, _ text: String) {
            lines += Paragraph.entry(term, text, width: width, indentation: 13)
        }
        add("type", key.kind.typeName)
        if let range = key.kind.range { add("allowed", range) }
        add("default", key.shownDefault)
        add("example", key.example)
        add("flag", "\(key.flag) \(key.kind.placeholder)")
        add("environment", key.environment)
        if key.kind.isSecret { add("from a file", "\(key.flag)-file PATH, \(key.environment)_FILE") }
        add("reload", key.reloadText)
        add("since", key.since)
        if let page = KeyTable.page(of: key) { add("more", page) }
        return text(lines)
    }

    // MARK: Lines

    private func paragraph(_ text: String, _ indentation: Int = 0) -> [String] {
        Paragraph.lines(text, width: width, indentation: indentation)
    }

    private func entry(_ term: String, _ text: String) -> [String] {
        Paragraph.entry("  " + term, text, width: width, indentation: 29)
    }

    private func text(_ lines: [String]) -> String { lines.joined(separator: "\n") + "\n" }
}

extension Command {
    /// The command with its argument.
    var usage: String {
        guard let argument = declaration.argument else { return rawValue }
        return argument.isOptional ? "\(rawValue) [\(argument.name)]" : "\(rawValue) \(argument.shown)"
    }

    /// The whole command line.
    var synopsis: String {
        let flags = declaration.flags.map { "[\($0.usage)]" } + (declaration.takesKeys ? ["[--KEY VALUE …]"] : [])
        return (["asynq-collector", usage] + flags).joined(separator: " ")
    }
}

extension CommandArgument {
    /// The words that it may be, or its name.
    var shown: String { words.map { $0.joined(separator: "|") } ?? name }
}

extension CommandDeclaration {
    var paragraphs: [String] {
        var found: [String] = []
        var lines: [Substring] = []
        for line in (details + "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            if !line.isEmpty {
                lines.append(line)
            } else if !lines.isEmpty {
                found.append(lines.joined(separator: " "))
                lines = []
            }
        }
        return found
    }
}

extension CommandFlag {
    var usage: String { value.map { "\(name) \($0)" } ?? name }
}

extension String {
    /// The text as a sentence: with a capital, and a full stop.
    var capitalizedSentence: String { prefix(1).uppercased() + dropFirst() + "." }
}
