import HTTPService
import Testing

@testable import Collector

@Suite("Where a setting comes from")
struct PrecedenceTests {
    @Test("Without anything the defaults hold, and they are a good configuration")
    func defaults() throws {
        #expect(try problems() == [])
        for key in ConfigurationKey.all { #expect(try settings()[key.name].isDefault) }
    }

    @Test("A flag wins over the environment, that over the file, that over the default")
    func precedence() throws {
        let environment: [Pair] = [("ASYNQ_COLLECTOR_REDIS_INTERVAL", "2s")]
        let yaml = "redis: {interval: 3s}"
        func interval(_ arguments: [String], _ environment: [Pair], _ yaml: String?) throws -> String {
            try settings(arguments, environment: environment, yaml: yaml)["redis.interval"].text
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
        #expect(found["redis.interval"].origin == "--redis-interval")
        #expect(found["redis.timeout"].origin == "ASYNQ_COLLECTOR_REDIS_TIMEOUT")
        #expect(found["log.level"].origin == "\(file.path) line 2")
        #expect(found["log.format"].origin == "default")
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
        #expect(Settings(flags: [], environment: environment)["log.level"].text == "debug")
        #expect(Settings(flags: [("--config", two.path)], environment: environment)["log.level"].text == "error")
        let missing = Settings(flags: [("--config", "/tmp/no-such-file.yaml")], environment: [])
        #expect(missing.problems.count == 1)
        #expect(missing.problems[0].description.contains("/tmp/no-such-file.yaml"))
    }

    @Test("Every key's three forms, and those of its file, are its own")
    func uniqueForms() {
        for spelling in [\ConfigurationKey.name, \.flag, \.environment] {
            var forms = ConfigurationKey.all.map { $0[keyPath: spelling] }
            let suffix = spelling == \.environment ? "_FILE" : "-file"
            forms += ConfigurationKey.all.filter(\.form.isSecret).map { $0[keyPath: spelling] + suffix }
            forms += spelling == \.environment ? ["ASYNQ_COLLECTOR_CONFIG"] : spelling == \.flag ? ["--config"] : []
            #expect(Set(forms).count == forms.count)
        }
        for key in ConfigurationKey.all {
            #expect(key.flag.hasPrefix("--") && !key.flag.contains("."))
            #expect(key.environment.allSatisfy { $0.isUppercase || $0 == "_" })
            #expect(!key.name.hasPrefix("config"))
        }
        #expect(ConfigurationKey.byName["redis.queues.include"]?.environment == "ASYNQ_COLLECTOR_REDIS_QUEUES_INCLUDE")
        #expect(ConfigurationKey.byName["redis.queues.include"]?.flag == "--redis-queues-include")
        #expect(ConfigurationKey.byName["redis.look-ahead"]?.environment == "ASYNQ_COLLECTOR_REDIS_LOOK_AHEAD")
    }

    @Test("Each key is set by each of its forms", arguments: ConfigurationKey.all.map(\.name))
    func everyForm(name: String) throws {
        let key = try #require(ConfigurationKey.byName[name])
        #expect(try settings([key.flag, "x"])[name].text == "x")
        #expect(try settings([key.flag + "=x"])[name].text == "x")
        #expect(try settings(environment: [(key.environment, "x")])[name].text == "x")
        #expect(try settings(yaml: "\(name): x")[name].text == "x")
        let nested = name.split(separator: ".").reversed().reduce("x") { "{\($1): \($0)}" }
        #expect(try settings(yaml: nested)[name].text == "x")
    }

    @Test("A list is a YAML sequence or comma text")
    func lists() throws {
        let expected = "127.0.0.1:1,[::1]:2"
        for yaml in [
            "otlp: {listen: ['127.0.0.1:1', '[::1]:2']}", "otlp:\n  listen:\n    - 127.0.0.1:1\n    - '[::1]:2'\n",
            "otlp:\n  listen: \"127.0.0.1:1,[::1]:2\"\n",
        ] {
            #expect(try settings(yaml: yaml)["otlp.listen"].text == expected)
            #expect(try options(yaml: yaml)?.otlpListen.map(\.description).suffix(2) == ["127.0.0.1:1", "[::1]:2"])
        }
        #expect(try options(["--otlp-listen", " 127.0.0.1:1 , ,[::1]:2 "])?.otlpListen.count == 3)
        #expect(try options(["--otlp-listen=none", "--otlp-socket=none"])?.otlpListen.isEmpty == true)
    }
}
