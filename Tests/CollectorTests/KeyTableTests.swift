import HTTPService
import Logging
import Model
import Testing

@testable import Collector

@Suite("The table of keys")
struct KeyTableTests {
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
        #expect(KeyTable.groups.count == 10 && KeyTable.groups.allSatisfy { !$0.title.isEmpty && !$0.keys.isEmpty })
        for key in KeyTable.all {
            #expect(!key.help.isEmpty && key.example != key.defaultText)
            #expect(try settings([key.flag, key.example]).problems == [], "\(key.name)")
        }
    }

    /// Texts at the bounds of a range, and just outside of them.
    private static func edges(_ kind: ValueKind) -> (allowed: [String], refused: [String]) {
        switch kind {
        case .integer(let range), .size(let range, _):
            let (low, high) = (range.lowerBound, range.upperBound)
            return (["\(low)", "\(high)"], ["\(low - 1)", "\(high + 1)", "", "x"])
        case .number(let range):
            let (low, high) = (range.lowerBound, range.upperBound)
            return (["\(low)", "\(high)"], ["\(low.nextDown)", "\(high.nextUp)", "nan", "inf", "", "x"])
        case .duration(let range, let word):
            let (low, high) = (range.lowerBound.wholeNanoseconds, range.upperBound.wholeNanoseconds)
            let refused = ["\(low - 1)ns", "\(high + 1)ns", "", "5", "x"] + (word == "0" || low == 0 ? [] : ["0"])
            return (["\(low)ns", "\(high)ns"] + [word].compactMap(\.self), refused)
        case .flag: return (["true", "false"], ["", "True", "1", "yes"])
        case .choice(let words): return (words, ["", "x"] + words.map { $0 + "x" })
        case .regularExpression: return (["", "^a"], ["(", "["])
        case .secretPairs: return (["", "A=", "A=B=C,D=E"], ["A", "=A", "A=B,C", "A=\n", "A=\u{7F}"])
        case .pairs: return (["", "A=", "a/b.c=d,e=\"f,g\""], ["A", "=A", "A=B,C", "A=1,A=2", "A=\n"])
        case .text, .path, .secret, .url, .list, .addresses: return ([], [])
        }
    }

    @Test("A key takes the values at its bounds and refuses those just outside", arguments: NamedKey.all)
    func bounds(named: NamedKey) throws {
        let key = named.key
        let (allowed, refused) = Self.edges(key.kind)
        for text in allowed { #expect(try settings(["\(key.flag)=\(text)"]).problems == [], "\(text)") }
        for text in refused {
            let isHidden = key.kind.isSecret && !key.kind.isURL
            let shown = isHidden ? "(secret)" : "\"\(text)\""
            let problems = try settings(["\(key.flag)=\(text)"]).problems.map(\.description)
            #expect(problems.count == 1)
            // Before what is allowed may stand what is wrong.
            #expect(problems[0].hasPrefix("\(key.name) = \(shown) (\(key.flag)): "))
            #expect(problems[0].hasSuffix("allowed is \(key.kind.allowed)"))
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
        #expect(ValueForm.size(1...1536).kind.allowed == "a size from 1B to 1536B, such as 512KiB, 64MiB, 1GiB")
        #expect(
            ValueForm.size(1024...(1 << 40), or: "auto").kind.allowed
                == "auto, or a size from 1KiB to 1TiB, such as 512KiB, 64MiB, 1GiB")
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
        let shown = key.kind.isURL ? "\"\(value.replacing("hush", with: "<redacted>"))\"" : "(secret)"
        #expect(problem.description == "\(key.name) = \(shown) (default): wrong")
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
