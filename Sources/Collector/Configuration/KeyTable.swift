/// All settings, in the order in which help and `check-config` show them.
///
/// A key is declared once, as a member of a section. Reflection reads the list of all keys from the members, so that a
/// declared key can't be missing from it.
struct KeyTable: Sendable {
    let redis = RedisKeys()
    let otlp = OTLPKeys()
    let tempo = TempoKeys()
    let spool = SpoolKeys()
    let metrics = MetricsKeys()
    let memory = MemoryKeys()
    let traces = TracesKeys()
    let shutdown = ShutdownKeys()
    let log = LogKeys()
    let externalURL = ExternalURLKeys()

    static let shared = KeyTable()

    static let environmentPrefix = "ASYNQ_COLLECTOR_"

    static let groups: [KeyGroup] = Mirror(reflecting: shared).children.compactMap { child in
        (child.value as? any KeySection).map { section in
            let declared = type(of: section)
            return KeyGroup(
                title: declared.title, page: declared.page, keys: keys(in: section), rules: declared.rules)
        }
    }

    static let all: [any DeclaredKey] = groups.flatMap(\.keys)

    static func key(named name: String) -> (any DeclaredKey)? {
        all.first { $0.name == name }
    }

    static func page(of key: any DeclaredKey) -> String? {
        key.page ?? groups.first { group in group.keys.contains { $0.name == key.name } }?.page
    }

    private static func keys(in section: Any) -> [any DeclaredKey] {
        Mirror(reflecting: section).children.flatMap { child in
            if let key = child.value as? any DeclaredKey { [key] } else { keys(in: child.value) }
        }
    }
}

/// Keys that belong together, as properties, and the rules between them.
protocol KeySection: Sendable {
    static var title: String { get }
    /// The file that explains those of the keys that name no page.
    static var page: String { get }
    static var rules: [SettingRule] { get }
}

extension KeySection {
    static var rules: [SettingRule] { [] }
}

/// A section as help and documentation list it.
struct KeyGroup: Sendable {
    let title: String
    let page: String
    let keys: [any DeclaredKey]
    let rules: [SettingRule]
}
