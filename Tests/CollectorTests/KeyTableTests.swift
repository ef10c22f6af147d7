import HTTPService
import Logging
import Testing

@testable import Collector

/// Every key as users know it. A change here is a change of the public interface.
private let interface = """
    redis.url = redis://127.0.0.1:6379/0 | url
    redis.username = | text
    redis.password = | secret
    redis.sentinel-password = | secret
    redis.tls.ca-file = | text
    redis.tls.cert-file = | text
    redis.tls.key-file = | text
    redis.tls.server-name = | text
    redis.tls.insecure-skip-verify = false | flag
    redis.interval = 5s | duration from 100ms
    redis.look-ahead = 100 | integer 0...100000
    redis.look-interval = 1s | duration from 100ms or 0
    redis.timeout = 3s | duration from 1ns
    redis.queues.include = | regular expression, reloadable
    redis.queues.exclude = | regular expression, reloadable
    redis.memory-sampling = off | duration from 1s or off
    otlp.socket = /run/asynq-collector/otlp.sock | text
    otlp.socket-mode = 0660 | text
    otlp.socket-group = | text
    otlp.listen = 127.0.0.1:4317,127.0.0.1:4318 | list
    otlp.bearer-token = | secret
    otlp.cors.allowed-origins = | list
    otlp.cors.allowed-headers = | list
    otlp.max-body = 16MiB | size 1024...268435456, reloadable
    tempo.endpoint = none | url
    tempo.headers = | secret pairs
    tempo.compression = gzip | gzip zstd none
    tempo.timeout = 10s | duration from 1ns
    tempo.tls.ca-file = | text
    tempo.tls.cert-file = | text
    tempo.tls.key-file = | text
    tempo.tls.server-name = | text
    tempo.tls.insecure-skip-verify = false | flag
    tempo.batch.max-bytes = 1MiB | size 1024...268435456
    tempo.batch.max-spans = 1000 | integer 1...1000000
    tempo.batch.max-delay = 200ms | duration from 1ns
    tempo.drain.max-spans-per-second = 0 | integer 0...1000000000
    tempo.retry.initial = 1s | duration from 1ns
    tempo.retry.max = 30s | duration from 1ns
    spool.directory = /var/lib/asynq-collector | text
    spool.max-bytes = 1GiB | size 1048576...1125899906842624, reloadable
    spool.max-age = none | duration from 1ns or none, reloadable
    spool.when-full = refuse | refuse drop-oldest, reloadable
    spool.sync = 200ms | text
    metrics.listen = 127.0.0.1:9876 | text
    metrics.wait-buckets = 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300,600,1800,3600 | list
    metrics.task-types = 200 | integer 0...100000, reloadable
    metrics.queues-max = 1000 | integer 1...1000000, reloadable
    metrics.asynqmon-names = false | flag
    metrics.quantile-window = 5m | duration from 1ns
    scale.target-utilization = 0.8 | number 0.01...1.0
    wait.attributes = | list
    traces.dead-letter-span = false | flag
    traces.wait-span = false | flag
    traces.relink = true | true false parent
    traces.lookup-timeout = 100ms | duration from 1ns
    traces.context.traceparent = traceparent,header.traceparent,headers.traceparent | list
    traces.context.tracestate = tracestate,header.tracestate,headers.tracestate | list
    traces.context.trace-id = trace_id,traceId | list
    traces.context.span-id = span_id,spanId | list
    traces.context.enqueued-at = enqueued_at,enqueuedAt | list
    traces.context.process-at = process_at,processAt | list
    log.level = info | trace debug info notice warning error, reloadable
    log.format = auto | auto json text
    external-url.grafana = | url
    external-url.tempo-datasource = | text
    """

@Suite("The table of keys")
struct KeyTableTests {
    private static func line(_ key: any DeclaredKey) -> String {
        let kind =
            switch key.kind {
            case .text: "text"
            case .secret: "secret"
            case .url: "url"
            case .secretPairs: "secret pairs"
            case .duration(let range, let word):
                "duration from \(DurationText.text(range.lowerBound))" + (word.map { " or \($0)" } ?? "")
            case .size(let range): "size \(range)"
            case .integer(let range): "integer \(range)"
            case .number(let range): "number \(range)"
            case .flag: "flag"
            case .choice(let words): words.joined(separator: " ")
            case .list: "list"
            case .regularExpression: "regular expression"
            }
        let value = key.defaultText.isEmpty ? "" : " " + key.defaultText
        return "\(key.name) =\(value) | \(kind)\(key.isReloadable ? ", reloadable" : "")"
    }

    @Test("Names, defaults, ranges and what SIGHUP changes are those of the interface")
    func table() {
        let expected = interface.split(separator: "\n").map(String.init)
        for (key, line) in zip(KeyTable.all, expected) { #expect(Self.line(key) == line) }
        #expect(KeyTable.all.count == expected.count)
    }

    @Test("Every key's three forms, and those of its file, are its own")
    func uniqueForms() {
        let spellings: [(suffix: String, own: String?, spelling: (any DeclaredKey) -> String)] = [
            ("-file", nil, { $0.name }), ("-file", "--config", { $0.flag }),
            ("_FILE", "ASYNQ_COLLECTOR_CONFIG", { $0.environment }),
        ]
        for (suffix, own, spelling) in spellings {
            var forms = KeyTable.all.map(spelling)
            forms += KeyTable.all.filter(\.kind.isSecret).map { spelling($0) + suffix }
            forms += [own].compactMap(\.self)
            #expect(Set(forms).count == forms.count)
        }
        for key in KeyTable.all {
            #expect(key.flag.hasPrefix("--") && !key.flag.contains("."))
            #expect(key.environment.allSatisfy { $0.isUppercase || $0 == "_" })
            #expect(!key.name.hasPrefix("config"))
        }
        #expect(KeyTable.key(named: "redis.queues.include")?.environment == "ASYNQ_COLLECTOR_REDIS_QUEUES_INCLUDE")
        #expect(KeyTable.key(named: "redis.queues.include")?.flag == "--redis-queues-include")
        #expect(KeyTable.key(named: "redis.look-ahead")?.environment == "ASYNQ_COLLECTOR_REDIS_LOOK_AHEAD")
    }

    @Test("Each key belongs to a group, has a help and an example that is allowed and not its default")
    func documentation() throws {
        #expect(KeyTable.groups.flatMap(\.keys).map(\.name) == KeyTable.all.map(\.name))
        #expect(KeyTable.groups.count == 8 && KeyTable.groups.allSatisfy { !$0.title.isEmpty && !$0.keys.isEmpty })
        for key in KeyTable.all {
            #expect(!key.help.isEmpty && key.example != key.defaultText)
            #expect(try settings([key.flag, key.example]).problems == [], "\(key.name)")
        }
    }

    /// Texts at the bounds of a range, and just outside of them.
    private static func edges(_ kind: ValueKind) -> (allowed: [String], refused: [String]) {
        switch kind {
        case .integer(let range), .size(let range):
            let (low, high) = (range.lowerBound, range.upperBound)
            return (["\(low)", "\(high)"], ["\(low - 1)", "\(high + 1)", "", "x"])
        case .number(let range):
            let (low, high) = (range.lowerBound, range.upperBound)
            return (["\(low)", "\(high)"], ["\(low.nextDown)", "\(high.nextUp)", "nan", "inf", "", "x"])
        case .duration(let range, let word):
            let (low, high) = (range.lowerBound.nanoseconds, range.upperBound.nanoseconds)
            let refused = ["\(low - 1)ns", "\(high + 1)ns", "", "5", "x"] + (word == "0" ? [] : ["0"])
            return (["\(low)ns", "\(high)ns"] + [word].compactMap(\.self), refused)
        case .flag: return (["true", "false"], ["", "True", "1", "yes"])
        case .choice(let words): return (words, ["", "x"] + words.map { $0 + "x" })
        case .regularExpression: return (["", "^a"], ["(", "["])
        case .secretPairs: return (["", "A=", "A=B=C,D=E"], ["A", "=A", "A=B,C", "A=\n", "A=\u{7F}"])
        case .text, .secret, .url, .list: return ([], [])
        }
    }

    @Test("A key takes the values at its bounds and refuses those just outside", arguments: NamedKey.all)
    func bounds(named: NamedKey) throws {
        let key = named.key
        let (allowed, refused) = Self.edges(key.kind)
        for text in allowed { #expect(try settings(["\(key.flag)=\(text)"]).problems == [], "\(text)") }
        for text in refused {
            let shown = key.kind.isSecret ? "(secret)" : "\"\(text)\""
            #expect(
                try settings(["\(key.flag)=\(text)"]).problems.map(\.description) == [
                    "\(key.name) = \(shown) (\(key.flag)): allowed is \(key.kind.allowed)"
                ])
        }
    }

    @Test("What is allowed is said with the bounds")
    func allowed() {
        #expect(ValueForm.duration().kind.allowed == "a duration such as 250ms, 5s, 2m, 1h")
        #expect(
            ValueForm.duration(atLeast: .milliseconds(100)).kind.allowed
                == "a duration of 100ms or more, such as 250ms, 5s, 2m, 1h")
        #expect(
            ValueForm.duration(atLeast: .seconds(1), or: "off").kind.allowed
                == "off, or a duration of 1s or more, such as 250ms, 5s, 2m, 1h")
        #expect(ValueForm.integer(0...7).kind.allowed == "a whole number from 0 to 7")
        #expect(ValueForm.size(1...7).kind.allowed.hasPrefix("a size from 1 to 7 bytes"))
    }

    @Test("A value that is refused leaves the key at its default, with every reason named")
    func refusedValue() throws {
        let found = try settings(["--otlp-listen=a,b:1,c", "--redis-interval=1ms"])
        #expect(found[\.otlp.listen].map(\.description) == ["127.0.0.1:4317", "127.0.0.1:4318"])
        #expect(found[\.redis.interval] == .seconds(5))
        #expect(found.problems.count == 3)
    }

    @Test("A default that is replaced counts as a default, and a source wins over it")
    func replacedDefaults() {
        let defaults = [DefaultOverride(\.redis.interval, "1s"), DefaultOverride(\.log.level, "warning")]
        let found = Settings(flags: [("--log-level", "debug")], environment: [], defaults: defaults)
        #expect(found[\.redis.interval] == .seconds(1) && found.setting(\.redis.interval).origin == .default)
        #expect(found[\.log.level] == .debug && found.setting(\.log.level).origin == .flag("--log-level"))
    }

    @Test(
        "No value of any secret key is shown, neither as it is printed nor in a problem",
        arguments: NamedKey.all {
            $0.kind.isSecret
        })
    func redaction(named: NamedKey) throws {
        let key = named.key
        let value =
            switch key.kind {
            case .url: (key.name == "redis.url" ? "redis" : "https") + "://joe:hush@h"
            case .secretPairs: "A=hush"
            default: "hush"
            }
        let given = try settings([key.flag, value])
        #expect(given.problems == [])
        let yaml = EffectiveConfiguration.yaml(given)
        #expect(yaml.contains("<redacted>") && !yaml.contains("hush"))
        let problem = ConfigurationProblem(key, value, .default, is: "wrong")
        #expect(problem.description == "\(key.name) = (secret) (default): wrong")
        let file = try TemporaryFile(key.example + "\n")
        #expect(try settings([key.flag + "-file", file.path]).text(of: key) == key.example)
    }

    @Test("Keys whose names say that they are secrets are secret")
    func secretNames() {
        for key in KeyTable.all
        where ["password", "token", "headers", ".url", "endpoint"].contains(where: key.name.hasSuffix) {
            #expect(key.kind.isSecret || key.name == "otlp.cors.allowed-headers", "\(key.name)")
        }
    }
}
