import Testing

@testable import Collector

@Suite("The YAML file")
struct ConfigurationFileTests {
    private static func entries(_ text: String) throws -> [String] {
        try ConfigurationFile.parse(Array(text.utf8)).map { "\($0.key)=\($0.text)@\($0.line)" }
    }

    @Test("Nested and dotted keys, quotes and comments are read")
    func forms() throws {
        let text = """
            # a comment
            redis:
              url: "unix:///r.sock"   # another
              queues: {include: '^a', exclude: "b\\n"}
            log.level: debug
            """
        #expect(
            try Self.entries(text) == [
                "redis.url=unix:///r.sock@3", "redis.queues.include=^a@4", "redis.queues.exclude=b\n@4",
                "log.level=debug@5",
            ])
    }

    @Test(
        "An empty file is no configuration, and no problem",
        arguments: [
            "", "\n\n", "# only this\n", "---\n", "{}", "--- {}\n...\n",
        ])
    func empty(text: String) throws {
        #expect(try Self.entries(text) == [])
        #expect(try problems(yaml: text) == [])
    }

    @Test(
        "What is no such file is refused with the line",
        arguments: [
            ("a: [", "line"), ("a: b: c", "line 1"), ("- a\n- b", "line 1"), ("just text", "line 1"),
            ("a: 1\n---\nb: 2", "line 2"),
            ("a: &x 1\nb: *x", "line 1"), ("base: &b {url: x}\nredis:\n  <<: *b", "line 1"), ("a: *x", "line 1"),
            ("a: [[1]]", "line 1"),
            ("a: [{b: c}]", "line 1"), ("? [a, b]\n: c", "line 1"), ("a: \"\\q\"", "line 1"), ("\ta: b", "line 1"),
            ("a: 'open", "line"), ("a: \u{1}", "line"),
        ])
    func refused(text: String, part: String) throws {
        do {
            _ = try ConfigurationFile.parse(Array(text.utf8))
            Issue.record("read")
        } catch {
            #expect(error.problem.contains(part), "\(error.problem)")
        }
        #expect(try problems(yaml: text).count == 1)
    }

    @Test("Bytes that are no text, and nesting without end, are refused")
    func hostile() {
        let deep = String(repeating: "a: {", count: 20_000)
        let open = Array(String(repeating: "[", count: 50_000).utf8)
        for bytes in [[0xFF, 0xFE, 0xFD], [0], Array(deep.utf8), open] as [[UInt8]] {
            #expect(throws: ConfigurationFile.Unreadable.self) { try ConfigurationFile.parse(bytes) }
        }
    }

    @Test("A key that is given twice is a problem, however it is spelled")
    func duplicates() throws {
        for yaml in [
            "log: {level: debug}\nlog: {level: info}", "log.level: debug\nlog: {level: info}",
            "log: {level: debug, level: debug}",
        ] {
            let found = try problems(yaml: yaml)
            #expect(found.count == 1 && found[0].contains("log.level") && found[0].contains("twice"), "\(found)")
        }
    }

    @Test("Random text never crashes the reader", arguments: 1...50 as ClosedRange<UInt64>)
    func random(seed: UInt64) {
        var state = seed
        let alphabet = Array("abc:{}[],-?&*!|>'\"%@` \n\t#0.~".utf8)
        let bytes = (0..<200).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return alphabet[Int(state >> 33) % alphabet.count]
        }
        do {
            _ = try ConfigurationFile.parse(bytes)
        } catch {
            #expect(error.problem.contains("line"), "seed \(seed): \(error.problem)")
        }
    }
}
