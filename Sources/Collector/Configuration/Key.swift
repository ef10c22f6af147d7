/// One setting: the only place that knows its name, type, range, default and help. One rule gives all its three forms:
///
///     file          redis.queues.include      (nested)
///     flag          --redis-queues-include
///     environment   ASYNQ_COLLECTOR_REDIS_QUEUES_INCLUDE
///
/// It is declared as a member of its section (`RedisKeys`, …); `settings[\.redis.interval]` is its value.
struct Key<Value: Sendable>: DeclaredKey {
    let name: String
    let form: ValueForm<Value>
    let defaultText: String
    let defaultValue: Value
    /// A value other than the default, for documentation.
    let example: String
    /// The help, in sentences: what it is, then what to do.
    let help: String
    let isReloadable: Bool
    /// The file, and the heading in it, that explains the key; nil for that of its section.
    let page: String?
    /// The version of the program that was the first to have the key.
    let since: String

    /// - Parameters:
    ///   - defaultText: The value without any source, as a user would write it.
    ///   - isReloadable: True if SIGHUP puts a new value in force; else it takes effect at the next start.
    init(
        _ name: String, _ form: ValueForm<Value>, default defaultText: String, example: String, help: String,
        isReloadable: Bool = false, page: String? = nil, since: String = "0.1.0"
    ) {
        self.name = name
        self.form = form
        self.defaultText = defaultText
        self.example = example
        self.help = help
        self.isReloadable = isReloadable
        self.page = page
        self.since = since
        do throws(UnacceptableText) {
            defaultValue = try form.read(defaultText)
        } catch {
            preconditionFailure("\(name) has a default that it refuses: \(error.reasons)")
        }
    }

    var kind: ValueKind { form.kind }

    var defaultSetting: Setting<Value> { Setting(value: defaultValue, text: defaultText, origin: .default) }

    func read(
        _ text: String, from origin: SettingOrigin, file: String?
    ) throws(UnacceptableText) -> any AnySetting {
        Setting(value: try form.read(text), text: text, origin: origin, file: file)
    }
}

/// A key without the type of its value, for lists of keys.
protocol DeclaredKey: Sendable {
    var name: String { get }
    var kind: ValueKind { get }
    var defaultText: String { get }
    var example: String { get }
    var help: String { get }
    var isReloadable: Bool { get }
    var page: String? { get }
    var since: String { get }

    /// - Parameter file: The file that the text was read from, where it is a secret's.
    /// - Throws: `UnacceptableText` with the reason why the key does not allow `text`.
    func read(_ text: String, from origin: SettingOrigin, file: String?) throws(UnacceptableText) -> any AnySetting
}

extension DeclaredKey {
    var flag: String { "--" + String(name.map { $0 == "." ? "-" : $0 }) }

    var environment: String {
        KeyTable.environmentPrefix + String(name.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }
}
