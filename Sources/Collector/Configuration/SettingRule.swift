/// A condition between keys, or between a key and this machine. A rule is declared in the section of its keys, and is
/// checked whether the part that they configure is on or off.
struct SettingRule: Sendable {
    /// Returns the problems of settings that break the rule.
    let problems: @Sendable (Settings) -> [ConfigurationProblem]

    static func problems(_ settings: Settings) -> [ConfigurationProblem] {
        KeyTable.groups.flatMap(\.rules).flatMap { $0.problems(settings) }
    }

    /// Refuses the value of a key where `isBroken` is true of the settings.
    static func refuse<Value>(
        _ path: any KeyPath<KeyTable, Key<Value>> & Sendable, is problem: String,
        where isBroken: @escaping @Sendable (Settings) -> Bool
    ) -> SettingRule {
        SettingRule { settings in isBroken(settings) ? [settings.problem(path, is: problem)] : [] }
    }
}
