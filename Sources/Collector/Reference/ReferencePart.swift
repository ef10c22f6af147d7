/// The parts of the reference that are made from the code. `scripts/generate-docs` puts each of them into its place.
enum ReferencePart: String, CaseIterable, Sendable {
    /// The man page: deploy/man/asynq-collector.1.
    case man
    /// The example: deploy/config.example.yaml.
    case example
    /// The list of settings: docs/CONFIGURATION.md.
    case settings
    /// The four tables of docs/METRICS.md.
    case redisFamilies = "families-redis"
    case spanFamilies = "families-spans"
    case collectorFamilies = "families-collector"
    case asynqmonFamilies = "families-asynqmon"

    var text: String {
        switch self {
        case .man: ManPage.text
        case .example: ExampleFile.text
        case .settings: SettingsPage.text
        case .redisFamilies: FamilyTable.redis.text
        case .spanFamilies: FamilyTable.spans.text
        case .collectorFamilies: FamilyTable.collector.text
        case .asynqmonFamilies: FamilyTable.asynqmon.text
        }
    }
}
