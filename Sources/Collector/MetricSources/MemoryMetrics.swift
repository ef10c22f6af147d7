import Metrics
import Web

/// The families of `memory.limit`: the bytes that each part takes, and its share.
struct MemoryMetrics: MetricSource {
    static let families = MemoryFamilies()

    let use: MemoryUse

    func metricFamilies() -> [MetricFamily] {
        var bytes = MetricFamily(Self.families.bytes)
        var limits = MetricFamily(Self.families.limitBytes)
        for part in use.parts {
            bytes.add(part.bytes, LabelSet(["part": part.part]))
        }
        for part in use.ledger.parts { limits.add(use.ledger[part], LabelSet(["part": part.rawValue])) }
        return [bytes, limits]
    }
}

/// The declarations of these families.
struct MemoryFamilies: Sendable {
    let bytes = FamilyDeclaration(
        "asynq_collector_memory_bytes", .gauge, labels: ["part"],
        """
        Memory that each part of the collector uses now. At its limit, the part refuses or forgets; docs/MEMORY.md \
        names the counter of each.
        """)
    let limitBytes = FamilyDeclaration(
        "asynq_collector_memory_limit_bytes", .gauge, labels: ["part"],
        "Share of memory.limit that each part may use. If the counter of a full part rises, raise memory.limit.")
}
