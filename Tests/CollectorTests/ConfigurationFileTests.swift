import Model
import Testing

@testable import AsynqRedis
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

    @Test(
        "What YAML reads in its own way is named by key, with what to write",
        arguments: [
            ("metrics:\n  listen: *:4318", "line 2: metrics.listen: a value that begins with * stands in quotes"),
            ("metrics:\n  listen: [::]:4318\n", "line 2: metrics.listen: a value that begins with [ stands in quotes"),
            ("otlp: {listen: [::]:4318}", "line 1: otlp.listen: a value that begins with [ stands in quotes"),
            ("otlp.listen: *:1,*:2", "line 1: otlp.listen: a value that begins with * stands in quotes"),
            (
                "otlp:\n  listen:\n    - *:1\n    - x",
                "line 3: otlp.listen: a value that begins with * stands in quotes"
            ),
            ("otlp:\n  listen:\n  - x\n  - *:1", "line 4: otlp.listen: a value that begins with * stands in quotes"),
            ("otlp:\n  listen: [*:4318]\n", "line 2: otlp.listen: what begins with * stands in quotes"),
            ("otlp: {listen: [x, *:1]}\n", "line 1: otlp.listen: what begins with * stands in quotes"),
            (
                "otlp:\n  cors:\n    allowed-origins: [*]\n",
                "line 3: otlp.cors.allowed-origins: what begins with * stands in quotes"
            ),
            (
                "tempo:\n  headers: {Authorization: Bearer hush, X: @hush}\n",
                "line 2: tempo.headers: what begins with @ stands in quotes"
            ),
            (
                "otlp:\n  listen:\n    - [::]:4318\n",
                "line 3: otlp.listen: an item of a list is plain text; one that begins with [ or {, or holds a colon and a blank, stands in quotes"
            ),
            (
                "redis:\n  queues:\n    include:\n      - [a-z]+\n",
                "line 4: redis.queues.include: an item of a list is plain text; one that begins with [ or {, or holds a colon and a blank, stands in quotes"
            ),
            (
                "redis:\n  queues:\n    include:\n      - a: b\n",
                "line 4: redis.queues.include: an item of a list is plain text; one that begins with [ or {, or holds a colon and a blank, stands in quotes"
            ),
            (
                "tempo:\n  headers:\n    - Authorization: Bearer hush\n",
                "line 3: tempo.headers: an item of a list is NAME=VALUE; one that begins with [ or {, or holds a colon and a blank, stands in quotes"
            ),
            (
                "tempo:\n  headers:\n    X-Key: @hush\n",
                "line 3: tempo.headers: a value that begins with @ stands in quotes"
            ),
            (
                "metrics:\n  push:\n    headers:\n      A: b\n      X-Key: `hush`\n",
                "line 5: metrics.push.headers: a value that begins with ` stands in quotes"
            ),
            (
                "metrics.push.resource:\n  env: %hush\n",
                "line 2: metrics.push.resource: a value that begins with % stands in quotes"
            ),
            (
                "tempo:\n  headers:\n    Authorization: Basic ab: hush\n",
                "line 3: tempo.headers: a value that holds a colon and a blank stands in quotes"
            ),
            (
                "{\"redis\": {\"password\": @hush}}",
                "line 1: redis.password: a value that begins with @ stands in quotes"
            ),
            ("'redis':\n  'url': @hush\n", "line 2: redis.url: a value that begins with @ stands in quotes"),
            (
                "redis:\n  password: \"hush\n  url: none\ntempo:\n  endpoint: \"http://x:1\"\n",
                "line 2: redis.password: a quote is not closed"
            ),
            (
                "tempo:\n  headers:\n    Authorization: \"Basic hush\n    X-B: \"abc\"\n",
                "line 3: tempo.headers: a quote is not closed"
            ),
            (
                "metrics:\n  push:\n    headers:\n      A: 'Basic hush\n      X-B: abc\n    endpoint: 'none'\n",
                "line 4: metrics.push.headers: a quote is not closed"
            ),
            (
                "otlp:\n  listen:\n    - \"127.0.0.1:1\n    - \"127.0.0.1:2\"\n",
                "line 3: otlp.listen: a quote is not closed"
            ),
            (
                "redis:\n  password: 'hush\nlog:\n  format: 'json'\n",
                "line 2: redis.password: a quote is not closed"
            ),
            ("redis:\n  url: none\nlog:\n  level: \"a\u{01}b\"\n", "line 4: control characters are not allowed"),
            (
                "redis:\n  # x\n\n  password: @hush",
                "line 4: redis.password: a value that begins with @ stands in quotes"
            ),
            ("redis: {password: %hush}", "line 1: redis.password: a value that begins with % stands in quotes"),
            ("redis:\n  password: `hush`", "line 2: redis.password: a value that begins with ` stands in quotes"),
            ("redis:\r\n  password: |hush\r\n", "line 2: redis.password: a value that begins with | stands in quotes"),
            (
                "redis:\n  password: {hush\nlog:\n  level: info",
                "line 2: redis.password: a { is not closed; a value that begins with { stands in quotes"
            ),
            (
                "redis:\n  password: [hush\n  url: x",
                "line 2: redis.password: a [ is not closed; a value that begins with [ stands in quotes"
            ),
            (
                "redis:\n  password: [hu]sh\n  url: x",
                "line 2: redis.password: a value that begins with [ stands in quotes"
            ),
            (
                "redis:\n  password: hu: sh",
                "line 2: redis.password: a value that holds a colon and a blank stands in quotes"
            ),
            (
                "redis:\n  password: url: sh",
                "line 2: redis.password: a value that holds a colon and a blank stands in quotes"
            ),
            (
                "tempo:\n  headers: Authorization: Bearer hush",
                "line 2: tempo.headers: a value that holds a colon and a blank stands in quotes"
            ),
            ("redis:\n  password: 'hu's'h'\n", "line 2: redis.password: a ' within single quotes is written ''"),
            ("redis:\n  password: \"hu\"sh\"\n", "line 2: redis.password: a \" within double quotes is written \\\""),
            ("redis:\n  password: 'hush\n", "line 2: redis.password: a quote is not closed"),
            (
                "redis:\n  password: \"hu\\sh\"\n",
                "line 2: redis.password: a \\ within double quotes begins an escape; single quotes take it as it is"
            ),
            ("redis:\n\turl: hush", "line 2: a tab; indent with blanks"),
            ("redis:\n  url: x\n\tpassword: hush", "line 3: a tab; indent with blanks"),
            ("redis:\n  password:hush\n  url: x", "line 2: a blank is missing behind the colon"),
            (
                "redis:\n  tls:\n    ca-file: @x",
                "line 3: redis.tls.ca-file: a value that begins with @ stands in quotes"
            ),
            ("redis:\n  hush: @x\n", "line 2: a value that begins with @, %, ` or a tab stands in quotes"),
            (
                "redis:\n  url: redis://a\n interval: 5s\n",
                "line 3: no key where one is expected: a line begins in another column than the keys above it, or a value needs quotes"
            ),
            (
                "redis:\n  url: none\n   interval: 5s\n",
                "line 3: a colon and a blank where no key can stand: a line is indented further than the keys above it, or a value needs quotes"
            ),
        ])
    func words(text: String, problem: String) throws {
        let found = try problems(yaml: text)
        #expect(found.count == 1 && found[0].drop { $0 != ":" } == ": \(problem)", "\(found)")
    }

    @Test("The reason of a fault in a long line is found in a time that grows with the line")
    func longLine() throws {
        let pairs = (0..<40_000).map { "\"a\($0)\" : 1" }.joined(separator: ";")
        let found = try problems(yaml: "{" + pairs + "\n")
        #expect(found.count == 1 && found[0].contains("line 1"), "\(found)")
    }

    @Test("A list of regular expressions matches what any of them matches; each is checked by itself")
    func patterns() throws {
        func filter(_ yaml: String) throws -> CompiledQueueFilter {
            QueueFilter(try settings(yaml: yaml)).compiled()
        }
        var filter1 = try filter("redis: {queues: {include: ['^critical', '(?i)MAIL$'], exclude: [test]}}")
        let accepted = ["critical", "a:mail", "critical:test", "low", "^critical"].filter {
            filter1.accepts(QueueName($0))
        }
        #expect(accepted == ["critical", "a:mail"])
        var filter2 = try filter("redis:\n  queues:\n    include:\n      - ^a{20}$\n      - b{20}\n")
        let isAccepted = filter2.accepts(QueueName(String(repeating: "a", count: 20)))
        #expect(isAccepted)
        for (list, part) in [
            ("[\"(\"]", "("), ("['a)', '(b']", "a): "), ("[a, '']", "empty"), ("['', a]", "empty"),
            ("[a, [b]]", "plain text"),
        ] {
            let found = try problems(yaml: "redis: {queues: {include: \(list)}}")
            #expect(found.count == 1 && found[0].contains(part), "\(found)")
        }
        #expect(try problems(yaml: "redis: {queues: {include: []}}") == [])
        let before = try settings(yaml: "redis: {queues: {include: ['^a', b]}}")
        #expect(try settings(yaml: EffectiveConfiguration.yaml(before)).texts == before.texts)
    }

    @Test("The advice for a list that YAML made of a value is given only for one in brackets")
    func lists() throws {
        let items = try problems(yaml: "redis:\n  password:\n    - hush")
        #expect(items.count == 1 && items[0].hasSuffix(": holds one value, no list"), "\(items)")
        let brackets = try problems(yaml: "redis:\n  password: [hush]")
        #expect(
            brackets.count == 1 && brackets[0].hasSuffix("; one that begins with [ stands in quotes"), "\(brackets)")
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
