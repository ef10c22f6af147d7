/// The source of a value.
enum SettingOrigin: Sendable, Equatable, CustomStringConvertible {
    /// A flag, such as `--redis-url`.
    case flag(String)
    /// A variable, such as `ASYNQ_COLLECTOR_REDIS_URL`.
    case environment(String)
    case file(path: String, line: Int)
    case `default`

    var description: String {
        switch self {
        case .flag(let name), .environment(let name): name
        case .file(let path, let line): "\(path) line \(line)"
        case .default: "default"
        }
    }
}

/// The value of one key, as it was written and as it is used.
struct Setting<Value: Sendable>: AnySetting {
    let value: Value
    let text: String
    let origin: SettingOrigin
    /// The file that the text of a secret was read from, and will be read from again.
    var file: String?
}

/// A setting without the type of its value.
protocol AnySetting: Sendable {
    var text: String { get }
    var origin: SettingOrigin { get }
    var file: String? { get }
}

/// A default that takes the place of the key's own.
struct DefaultOverride: Sendable {
    fileprivate let name: String
    fileprivate let text: String

    init<Value>(_ path: KeyPath<KeyTable, Key<Value>>, _ text: String) {
        name = KeyTable.shared[keyPath: path].name
        self.text = text
    }
}

/// The value of every key, read once: from flag, environment, file or default, in that order.
struct Settings: Sendable {
    /// The settings that a source sets to a value that their key allows, by name. The others have their default.
    private var given: [String: any AnySetting] = [:]
    /// The problems of the sources and of single values; `SettingRule` knows those between keys.
    private(set) var problems: [ConfigurationProblem]
    let secretReports = SecretReports()

    /// Reads all sources. `flags` are name and value pairs as given, `--` included; `environment` is the whole of it.
    init(
        flags: [(name: String, value: String)], environment: [(name: String, value: String)],
        defaults: [DefaultOverride] = []
    ) {
        var sources = SettingSources()
        for override in defaults { sources.texts[override.name] = .init(text: override.text, origin: .default) }
        sources.read(flags: flags, environment: environment)
        problems = sources.problems
        for key in KeyTable.all {
            guard let source = sources.texts[key.name] else { continue }
            do throws(UnacceptableText) {
                given[key.name] = try key.read(source.text, from: source.origin, file: source.file)
            } catch {
                for reason in error.reasons {
                    problems.append(ConfigurationProblem(key, source.text, source.origin, is: reason))
                }
            }
        }
    }

    /// - Throws: `ConfigurationProblems`: all of them, of single keys and of rules between them.
    func check() throws(ConfigurationProblems) {
        let all = problems + SettingRule.problems(self)
        if !all.isEmpty { throw ConfigurationProblems(all) }
    }

    subscript<Value>(_ path: KeyPath<KeyTable, Key<Value>>) -> Value { setting(path).value }

    func setting<Value>(_ path: KeyPath<KeyTable, Key<Value>>) -> Setting<Value> {
        let key = KeyTable.shared[keyPath: path]
        return given[key.name] as? Setting<Value> ?? key.defaultSetting
    }

    /// Returns the value of a key as it was written.
    func text(of key: any DeclaredKey) -> String { given[key.name]?.text ?? key.defaultText }

    /// Returns the file that the value of a secret stands in.
    func file(of key: any DeclaredKey) -> String? { given[key.name]?.file }

    func origin(of key: any DeclaredKey) -> SettingOrigin { given[key.name]?.origin ?? .default }

    func problem<Value>(_ path: KeyPath<KeyTable, Key<Value>>, is problem: String) -> ConfigurationProblem {
        let setting = setting(path)
        return ConfigurationProblem(KeyTable.shared[keyPath: path], setting.text, setting.origin, is: problem)
    }
}
