import Metrics
import WaitTime

/// The families of the page, by the source of their numbers, as docs/METRICS.md shows them.
enum FamilyTable: CaseIterable, Sendable {
    case redis, spans, collector, asynqmon

    var families: [FamilyDeclaration] {
        switch self {
        case .redis:
            QueueMetrics.families + FamilyDeclaration.all(in: ServerMetrics.families) + [SampledWaits.declaration]
                + FamilyDeclaration.all(in: RedisMetrics.declared)
        case .spans: TaskFamily.declarations
        case .collector:
            FamilyDeclaration.all(in: PipelineMetrics.families) + FamilyDeclaration.all(in: TaskMetrics.losses)
                + FamilyDeclaration.all(in: LookAheadMetrics.families)
                + FamilyDeclaration.all(in: RelinkMetrics.families)
                + FamilyDeclaration.all(in: PushMetrics.families)
                + FamilyDeclaration.all(in: MemoryMetrics.families)
                + FamilyDeclaration.all(in: ProcessMetrics.families) + MetricsRegistry.declarations
        case .asynqmon: FamilyDeclaration.all(in: AsynqmonMetrics.families)
        }
    }

    /// A table in Markdown.
    var text: String {
        (["| family | type | labels | with | meaning |", "|---|---|---|---|---|"] + families.map(row))
            .joined(separator: "\n") + "\n"
    }

    private func row(_ family: FamilyDeclaration) -> String {
        let kind = family.kind == .info ? "gauge (info)" : family.kind.rawValue
        let setting = family.setting.map { "`\($0)`" } ?? ""
        let cells = ["`\(family.name)`", kind, family.labels.joined(separator: ", "), setting, family.help]
        return "| " + cells.joined(separator: " | ") + " |"
    }
}
