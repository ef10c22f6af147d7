import Model
import Testing

@testable import Metrics

@Suite("Pages in pieces")
struct PageReaderTests {
    /// Gives its families in portions of so many samples.
    private struct Source: MetricSource {
        let families: [MetricFamily]
        let portion: Int

        func metricFamilies() -> [MetricFamily] { families }

        func portions() -> FamilyPortions {
            let parts = families.flatMap { family in
                stride(from: 0, to: family.samples.count, by: portion).map { start in
                    var part = family
                    part.samples = Array(family.samples[start..<min(start + portion, family.samples.count)])
                    return [part]
                }
            }
            return AnyIterator(parts.makeIterator())
        }
    }

    /// Numbers and histograms of so many queues.
    private static func families(queues: Int) -> [MetricFamily] {
        var size = MetricFamily("size", .gauge, "h")
        var wait = MetricFamily("wait_seconds", .histogram, "h")
        for queue in 0..<queues {
            let labels = LabelSet(["queue": "queue-\(queue)"])
            size.add(queue, labels)
            var histogram = Histogram(HistogramBounds(ascending: 1, 10, 100))
            histogram.observe(Double(queue))
            wait.add(histogram, labels)
        }
        return [size, wait, MetricFamily("gone", .gauge, "h")]
    }

    private static func pieces(_ registry: MetricsRegistry, _ format: PageFormat) -> [[UInt8]] {
        var reader = registry.page(format)
        var pieces: [[UInt8]] = []
        var goesOn = true
        while goesOn {
            var piece: [UInt8] = []
            goesOn = reader.next { piece += $0 }
            if !piece.isEmpty { pieces.append(piece) }
        }
        return pieces
    }

    @Test(
        "the pieces together are the page, whatever the portions", arguments: [1, 7, 1000],
        [PageFormat.text, .openMetrics])
    func whole(portion: Int, format: PageFormat) {
        let registry = MetricsRegistry([Source(families: Self.families(queues: 2000), portion: portion)])
        let pieces = Self.pieces(registry, format)
        #expect(pieces.flatMap(\.self) == format.encode(Array(registry.chunks)))
        // A series is never divided.
        #expect(pieces.count > 5 && pieces.allSatisfy { $0.count < 65 << 10 })
    }

    @Test("the series of the page are its lines")
    func series() {
        let registry = MetricsRegistry([Source(families: Self.families(queues: 300), portion: 7)])
        let page = String(decoding: Self.pieces(registry, .text).flatMap(\.self), as: UTF8.self)
        let lines = page.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.last == "asynq_collector_page_series \(lines.count)")
        #expect(lines.count == 300 + 300 * 6 + 1)
    }

    @Test("in protobuf a long family is several of the same name, each complete, and a short one is one")
    func protobuf() {
        func names(queues: Int) -> [String] {
            let registry = MetricsRegistry([Source(families: Self.families(queues: queues), portion: 7)])
            return Self.pieces(registry, .protobuf).flatMap { piece in
                var names: [String] = []
                var position = 0
                while position < piece.count {
                    var (length, shift) = (0, 0)
                    repeat {
                        length |= Int(piece[position] & 0x7F) << shift
                        shift += 7
                        position += 1
                    } while piece[position - 1] >= 0x80
                    let name = piece[(position + 2)..<(position + 2 + Int(piece[position + 1]))]
                    names.append(String(decoding: name, as: UTF8.self))
                    position += length
                }
                #expect(position == piece.count)
                return names
            }
        }
        #expect(names(queues: 300) == ["size", "wait_seconds", "asynq_collector_page_series"])
        let many = names(queues: 10_000)
        #expect(Set(many) == ["size", "wait_seconds", "asynq_collector_page_series"] && many.count > 6)
        #expect(
            many == many.sorted { names(queues: 1).firstIndex(of: $0) ?? 0 < names(queues: 1).firstIndex(of: $1) ?? 0 })
    }
}
