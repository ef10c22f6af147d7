import HTTPService
import Testing

@testable import Collector

@Suite("Where a setting comes from")
struct PrecedenceTests {
    @Test("Without anything the defaults hold, and they are a good configuration")
    func defaults() throws {
        #expect(try problems() == [])
        for key in KeyTable.all { #expect(try settings().origin(of: key) == .default) }
    }

    @Test("A flag wins over the environment, that over the file, that over the default")
    func precedence() throws {
        let environment: [Pair] = [("ASYNQ_COLLECTOR_REDIS_INTERVAL", "2s")]
        let yaml = "redis: {interval: 3s}"
        func interval(_ arguments: [String], _ environment: [Pair], _ yaml: String?) throws -> String {
            try settings(arguments, environment: environment, yaml: yaml).text("redis.interval")
        }
        #expect(try interval(["--redis-interval", "1s"], environment, yaml) == "1s")
        #expect(try interval([], environment, yaml) == "2s")
        #expect(try interval([], [], yaml) == "3s")
        #expect(try interval([], [], nil) == "5s")
    }

    @Test("The origin of a setting names the flag, the variable, or file and line")
    func origins() throws {
        let file = try TemporaryFile("log:\n  level: debug\n")
        let found = Settings(
            flags: [("--config", file.path), ("--redis-interval", "1s")],
            environment: [("ASYNQ_COLLECTOR_REDIS_TIMEOUT", "1s")])
        #expect(found.origin("redis.interval") == "--redis-interval")
        #expect(found.origin("redis.timeout") == "ASYNQ_COLLECTOR_REDIS_TIMEOUT")
        #expect(found.origin("log.level") == "\(file.path) line 2")
        #expect(found.origin("log.format") == "default")
    }

    @Test("--key value and --key=value are the same; a value may hold = and begin with -")
    func flagForms() {
        func flags(_ arguments: String...) -> [String] { Invocation(arguments).flags.map { "\($0.name)|\($0.value)" } }
        #expect(flags("--redis-url", "none") == ["--redis-url|none"])
        #expect(flags("run", "--redis-url=none") == ["--redis-url|none"])
        #expect(flags("--tempo-headers=A=B,C=D") == ["--tempo-headers|A=B,C=D"])
        #expect(flags("--tempo-headers", "A=B") == ["--tempo-headers|A=B"])
        #expect(flags("--redis-password=--x") == ["--redis-password|--x"])
        #expect(flags("--redis-password", "-x") == ["--redis-password|-x"])
        #expect(flags("--redis-password=") == ["--redis-password|"])
    }

    @Test("Commands are told from flags; what is neither is a problem that names what was meant")
    func commands() {
        #expect(Invocation([]).command == .run)
        #expect(Invocation(["--log-level", "debug"]).command == .run)
        #expect(Invocation(["check-config"]).command == .checkConfig)
        #expect(Invocation(["scrape", "--help"]).command == .help)
        #expect(Invocation(["--version"]).command == .version)
        #expect(
            Invocation(["chek-config"]).problems.map(\.description) == [
                "unknown command chek-config; did you mean check-config?"
            ])
        #expect(Invocation(["run", "stray"]).problems.count == 1)
        #expect(Invocation(["--redis-url"]).problems.count == 1)
        #expect(Invocation(["--redis-url", "--log-level", "debug"]).problems.count == 1)
        #expect(Invocation(["-x"]).problems.count == 1)
        #expect(Invocation(["--"]).problems.count == 1)
    }

    @Test("--config also stands in the environment; the flag wins; a missing file is a problem")
    func configFile() throws {
        let one = try TemporaryFile("log.level: debug")
        let two = try TemporaryFile("log.level: error")
        let environment: [Pair] = [("ASYNQ_COLLECTOR_CONFIG", one.path)]
        #expect(Settings(flags: [], environment: environment).text("log.level") == "debug")
        #expect(Settings(flags: [("--config", two.path)], environment: environment).text("log.level") == "error")
        let both = Settings(flags: [("--config", one.path), ("--config", two.path)], environment: [])
        #expect(both.text("log.level") == "error", "the last one is read")
        let missing = Settings(flags: [("--config", "/tmp/no-such-file.yaml")], environment: [])
        #expect(missing.problems.count == 1)
        #expect(missing.problems[0].description.contains("/tmp/no-such-file.yaml"))
    }

    @Test("An empty environment variable counts as one that is not set")
    func emptyVariables() throws {
        let interval: [Pair] = [("ASYNQ_COLLECTOR_REDIS_INTERVAL", "")]
        #expect(try settings(environment: interval).origin("redis.interval") == "default")
        #expect(try settings(environment: interval, yaml: "redis: {interval: 3s}").text("redis.interval") == "3s")
        #expect(
            try problems(environment: [
                ("ASYNQ_COLLECTOR_CONFIG", ""), ("ASYNQ_COLLECTOR_NO_SUCH_KEY", ""),
                ("ASYNQ_COLLECTOR_REDIS_PASSWORD_FILE", ""),
            ]) == [])
        #expect(try settings(["--redis-username="], yaml: "redis: {username: a}").text("redis.username") == "")
    }

    @Test("Of a key that is given by several sources, only the value that wins is checked")
    func losingValues() throws {
        let environment: [Pair] = [("ASYNQ_COLLECTOR_REDIS_INTERVAL", "never")]
        #expect(try problems(["--redis-interval=1s"], environment: environment, yaml: "redis: {interval: x}") == [])
    }

    @Test("Each key is set by each of its forms, and says where it came from", arguments: NamedKey.all)
    func everyForm(named: NamedKey) throws {
        let key = named.key
        let value = key.example
        #expect(try settings([key.flag, value]).text(of: key) == value)
        #expect(try settings([key.flag + "=" + value]).text(of: key) == value)
        #expect(try settings([key.flag, value]).origin(of: key) == .flag(key.flag))
        let variable = try settings(environment: [(key.environment, value)])
        #expect(variable.text(of: key) == value && variable.origin(of: key) == .environment(key.environment))
        let file = try settings(yaml: "\(key.name): '\(value)'")
        #expect(file.text(of: key) == value && "\(file.origin(of: key))".hasSuffix(" line 1"))
        let nested = key.name.split(separator: ".").reversed().reduce("'\(value)'") { "{\($1): \($0)}" }
        #expect(try settings(yaml: nested).text(of: key) == value)
    }

    @Test("For each key the flag wins over the environment, that over the file", arguments: NamedKey.all)
    func everyPrecedence(named: NamedKey) throws {
        let key = named.key
        let yaml = "\(key.name): '\(key.example)'"
        let environment: [Pair] = [(key.environment, key.example)]
        let flag = try settings([key.flag, key.example], environment: environment, yaml: yaml)
        #expect(flag.origin(of: key) == .flag(key.flag))
        #expect(
            try settings(environment: environment, yaml: yaml).origin(of: key) == .environment(key.environment))
    }

    @Test("A list is a YAML sequence or comma text")
    func lists() throws {
        let expected = "127.0.0.1:1,[::1]:2"
        for yaml in [
            "otlp: {listen: ['127.0.0.1:1', '[::1]:2']}", "otlp:\n  listen:\n    - 127.0.0.1:1\n    - '[::1]:2'\n",
            "otlp:\n  listen: \"127.0.0.1:1,[::1]:2\"\n",
        ] {
            #expect(try settings(yaml: yaml).text("otlp.listen") == expected)
            #expect(
                try options(yaml: yaml)?.otlpListen.flatMap(\.addresses).map(\.description).suffix(2) == [
                    "127.0.0.1:1", "[::1]:2",
                ])
        }
        #expect(try options(["--otlp-listen", " 127.0.0.1:1 , ,[::1]:2 "])?.otlpListen.flatMap(\.addresses).count == 3)
        #expect(
            try options(["--otlp-listen=none", "--otlp-socket=none"])?.otlpListen.allSatisfy(\.addresses.isEmpty)
                == true)
    }
}
