import Metrics
import Testing

@Suite("The registry")
struct RegistryTests {
    private struct Source: MetricSource {
        let names: [String]
        var isEmpty = false

        func metricFamilies() -> [MetricFamily] {
            names.map { isEmpty ? MetricFamily($0, .gauge, "h") : MetricFamily($0, .gauge, "h", value: 1) }
        }
    }

    @Test("families stand in the order of their sources, those without samples are left out")
    func order() {
        let registry = MetricsRegistry([
            Source(names: ["b", "a"]), Source(names: ["gone"], isEmpty: true), Source(names: []), Source(names: ["c"]),
        ])
        #expect(registry.chunks.map(\.name) == ["b", "a", "c", "asynq_collector_page_series"])
    }
}
