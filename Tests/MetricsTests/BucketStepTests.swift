import Model
import Testing

@testable import Metrics

@Suite("Fewer classic buckets on a page")
struct BucketStepTests {
    private static let bounds = HistogramBounds(ascending: 0.1, 0.5, 1, 5, 10, 60, 300)

    private static func family(step: Int, exemplars: Bool = false) -> MetricFamily {
        var histogram = Histogram(bounds)
        for (index, value) in [0.05, 0.4, 0.8, 3, 7, 40, 200, 1000].enumerated() {
            let span = SpanReference(trace: TraceID(high: 1, low: UInt64(index)), span: SpanID(1))
            histogram.observe(value, of: exemplars ? Exemplar.Origin(span: span, time: WallTime(seconds: 7)) : nil)
        }
        var family = MetricFamily("d_seconds", .histogram, "h")
        family.bucketStep = step
        family.add(histogram, LabelSet(["queue": "q"]))
        return family
    }

    private static func lines(_ format: PageFormat, step: Int, exemplars: Bool = false) -> [Substring] {
        let page = String(decoding: format.encode([family(step: step, exemplars: exemplars)]), as: UTF8.self)
        return page.split(separator: "\n").filter { !$0.hasPrefix("#") }
    }

    @Test(
        "each so manyth bucket stays as it was, that of the objective always, and the numbers of lines agree",
        arguments: [
            (1, ["0.1", "0.5", "1", "5", "10", "60", "300", "+Inf"]), (2, ["0.1", "1", "10", "300", "+Inf"]),
            (4, ["0.1", "10", "+Inf"]), (8, ["10", "+Inf"]), (1024, ["10", "+Inf"]),
        ])
    func text(step: Int, edges: [String]) {
        let all = Self.lines(.text, step: 1)
        let found = Self.lines(.text, step: step)
        #expect(
            found
                == all.filter { line in
                    !line.contains("_bucket") || edges.contains { line.contains("le=\"\($0)\"") }
                })
        #expect(found.count == Self.bounds.seriesCount(step: step))
        #expect(found.contains("d_seconds_bucket{queue=\"q\",le=\"10\"} 5"))
    }

    @Test("of the exemplars of buckets that are written as one, the last one stays")
    func exemplars() {
        let found = Self.lines(.openMetrics, step: 4, exemplars: true).filter { $0.contains("_bucket") }
        let values = found.map { $0.split(separator: "} ").last?.split(separator: " ").first.map(String.init) }
        #expect(values == ["0.05", "7", "1000"])
    }

    @Test("without an objective among the edges, one in the middle stays")
    func middle() {
        let bounds = HistogramBounds(ascending: 1, 2, 3)
        #expect((0...3).filter { bounds.keeps($0, step: 64) } == [1, 3])
    }
}
