import Testing

@testable import Collector

@Suite("Help")
struct HelpTests {
    /// All that help can print.
    private static func texts(_ help: Help) throws -> [String] {
        let topics = try (Help.topics + ["redis.tls"]).map { try #require(help.text(about: $0)) }
        return [help.overview] + topics
    }

    @Test("No line is longer than the terminal is wide, unless its only word is", arguments: [60, 80, 200])
    func width(width: Int) throws {
        var longest = 0
        for line in try Self.texts(Help(width: width)).flatMap({ $0.split(separator: "\n") }) where line.count > width {
            let words = line.drop { $0 == " " }
            #expect(!words.contains(" "), "\(line)")
        }
        for line in Help(width: width).overview.split(separator: "\n") where line.count <= width {
            longest = max(longest, line.count)
        }
        #expect(longest > width - 15, "the width is used")
    }

    @Test("The overview names every command, and every key with its default and all of its help")
    func overview() {
        let text = Help(width: 10_000).overview
        for command in Command.listed { #expect(text.contains("\n  \(command.usage) ")) }
        for key in KeyTable.all {
            let fallback = key.defaultText.isEmpty ? "not set" : key.defaultText
            #expect(text.contains("  \(key.flag) \(key.kind.placeholder)\n      \(key.help) [\(fallback)]\n"))
        }
        for group in KeyTable.groups { #expect(text.contains("\n\n\(group.title):\n")) }
        #expect(!text.contains("reference"))
    }

    @Test("A summary becomes a sentence: its first letter is large, and only that")
    func sentences() {
        for (summary, sentence) in [("ask a redis", "Ask a redis."), ("x", "X."), ("", "."), ("URL", "URL.")] {
            #expect(summary.capitalizedSentence == sentence)
        }
    }

    @Test("A key is explained with all its facts, by any of its three names", arguments: NamedKey.all)
    func key(named: NamedKey) throws {
        let key = named.key
        let help = Help(width: 10_000)
        let text = try #require(help.text(about: key.name))
        #expect(text == help.text(about: key.flag) && text == help.text(about: key.environment))
        let page = try #require(KeyTable.page(of: key))
        for line in [
            key.name, key.help, "type         \(key.kind.typeName)",
            "default      \(key.defaultText.isEmpty ? "not set" : key.defaultText)", "example      \(key.example)",
            "flag         \(key.flag) \(key.kind.placeholder)", "environment  \(key.environment)",
            "reload       \(key.reloadText)", "since        0.1.0", "more         \(page)",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        if let range = key.kind.range { #expect(text.contains("allowed      \(range)\n")) }
        #expect(text.contains("\(key.flag)-file PATH") == key.kind.isSecret)
    }

    @Test("A section of keys is listed by its name; what is neither is nothing")
    func sections() throws {
        let text = try #require(Help(width: 80).text(about: "redis.tls"))
        for key in KeyTable.all { #expect(text.contains(key.flag + " ") == key.name.hasPrefix("redis.tls.")) }
        for topic in ["redis.t", "redis.", "", "nonsense"] { #expect(Help(width: 80).text(about: topic) == nil) }
    }

    @Test("A command is explained with its own flags")
    func command() throws {
        let text = try #require(Help(width: 100).text(about: "demo"))
        #expect(text.hasPrefix("Usage: asynq-collector demo [--duration DURATION] [--tasks-per-second N]"))
        #expect(text.contains("\n  --duration DURATION\n      Ends the demo"))
        #expect(text.contains("Takes every setting"))
        #expect(try #require(Help(width: 100).text(about: "completion")).contains("completion bash|zsh|fish\n"))
        #expect(Help(width: 100).text(about: .completion).contains("\n\nzsh: asynq-collector completion zsh >"))
    }

    @Test("A narrow terminal gets lines of forty")
    func narrow() {
        #expect(Help(width: 1).overview == Help(width: 40).overview)
    }

    @Test("Help texts are sentences, and their first one is a summary", arguments: NamedKey.all)
    func sentences(named: NamedKey) {
        let help = named.key.help
        #expect(help.first?.isUppercase == true || help.hasPrefix("none"))
        #expect(help.hasSuffix(".") && !help.contains("\n") && !help.contains("  "))
        #expect(help.hasPrefix(named.key.summary) && !named.key.summary.hasSuffix("."))
    }

    @Test("Ranges are said in the units that a user writes")
    func ranges() {
        #expect(KeyTable.key(named: "otlp.max-body")?.kind.range == "1KiB to 256MiB")
        #expect(KeyTable.key(named: "spool.max-bytes")?.kind.range == "1MiB to 1024TiB")
        #expect(KeyTable.key(named: "redis.interval")?.kind.range == "100ms or more")
        #expect(KeyTable.key(named: "redis.look-interval")?.kind.range == "100ms or more, or 0")
        #expect(KeyTable.key(named: "spool.max-age")?.kind.range == "more than 0, or none")
        #expect(KeyTable.key(named: "redis.username")?.kind.range == nil)
        #expect(SizeText.text(0) == "0B" && SizeText.text(1500) == "1500B" && SizeText.text(3 << 29) == "1536MiB")
    }
}
