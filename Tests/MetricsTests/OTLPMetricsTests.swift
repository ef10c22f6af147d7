import Glibc
import Model
import TestSupport
import Testing

@testable import Metrics

@Suite("Metrics as OTLP")
struct OTLPMetricsTests {
    private static let source = OTLPMetrics.Source(attributes: [("service.name", "me")], scope: "s", version: "1")
    private static let interval = OTLPMetrics.Interval(start: WallTime(seconds: 1), end: WallTime(seconds: 2))

    private func encoded(
        _ families: [MetricFamily], _ temporality: OTLPMetrics.Temporality = .cumulative,
        _ histograms: OTLPMetrics.HistogramForm = .exponential, exemplarsSince: WallTime? = nil
    ) -> [UInt8] {
        let content = OTLPMetrics(
            temporality, histograms, interval: Self.interval, exemplarsSince: exemplarsSince)
        var writer = OTLPRequestWriter(Self.source, content)
        var bytes: [UInt8] = []
        for family in families { writer.append(family) { bytes += $0 } }
        writer.finish { bytes += $0 }
        return bytes
    }

    private func metrics(_ request: [UInt8]) throws -> [Message] {
        try Message(request).messages(1).flatMap { try $0.messages(2) }.flatMap { try $0.messages(2) }
    }

    @Test("The bytes of a small request are those of the specification")
    func golden() {
        var size = MetricFamily("q_size", .gauge, "Tasks.")
        size.add(3, LabelSet(["queue": "a\"b"]))
        let cpu = MetricFamily("cpu_seconds_total", .counter, "Time.", value: 0.5)
        let expected: [UInt8] = [
            0x0A, 0x8E, 0x01,  // resource_metrics
            0x0A, 0x16, 0x0A, 0x14, 0x0A, 0x0C, 0x73, 0x65, 0x72, 0x76, 0x69, 0x63, 0x65, 0x2E, 0x6E, 0x61, 0x6D, 0x65,
            0x12, 0x04, 0x0A, 0x02, 0x6D, 0x65,  // resource: service.name = me
            0x12, 0x74, 0x0A, 0x06, 0x0A, 0x01, 0x73, 0x12, 0x01, 0x31,  // scope_metrics, scope
            0x12, 0x36, 0x0A, 0x06, 0x71, 0x5F, 0x73, 0x69, 0x7A, 0x65,  // metrics, name
            0x12, 0x06, 0x54, 0x61, 0x73, 0x6B, 0x73, 0x2E,  // description
            0x2A, 0x24, 0x0A, 0x22,  // gauge, data_points
            0x3A, 0x0E, 0x0A, 0x05, 0x71, 0x75, 0x65, 0x75, 0x65, 0x12, 0x05, 0x0A, 0x03, 0x61, 0x22, 0x62,  // queue
            0x19, 0x00, 0x94, 0x35, 0x77, 0x00, 0x00, 0x00, 0x00,  // time
            0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x40,  // as_double 3
            0x12, 0x32, 0x0A, 0x03, 0x63, 0x70, 0x75, 0x12, 0x05, 0x54, 0x69, 0x6D, 0x65, 0x2E,  // metrics
            0x1A, 0x01, 0x73,  // unit
            0x3A, 0x21, 0x0A, 0x1B,  // sum, data_points
            0x11, 0x00, 0xCA, 0x9A, 0x3B, 0x00, 0x00, 0x00, 0x00,  // start
            0x19, 0x00, 0x94, 0x35, 0x77, 0x00, 0x00, 0x00, 0x00,  // time
            0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xE0, 0x3F,  // as_double 0.5
            0x10, 0x02, 0x18, 0x01,  // cumulative, monotonic
        ]
        #expect(encoded([size, cpu]) == expected)
        #expect(encoded([]) == [])
    }

    private func histogram(_ values: [Double]) -> Histogram {
        var histogram = Histogram(HistogramBounds(ascending: 1, 2))
        for value in values { histogram.observe(value) }
        return histogram
    }

    private func family(_ histogram: Histogram) -> MetricFamily {
        var family = MetricFamily("w_seconds", .histogram, "Wait.")
        family.add(histogram, LabelSet(["queue": "a"]))
        return family
    }

    /// The one data point of a metric whose data is in `field`.
    private func point(_ metric: Message, _ field: Int) throws -> Message {
        try #require(try metric.messages(field).first?.messages(1).first)
    }

    private func packedWords(_ bytes: [UInt8]?) -> [UInt64] {
        let bytes = bytes ?? []
        return stride(from: 0, to: bytes.count, by: 8).map { start in
            bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    @Test("An exponential histogram has the native buckets, numbered one lower, the empty ones between them included")
    func exponential() throws {
        let metric = try #require(try metrics(encoded([family(histogram([1, 1, 2, 2.1, 0, 0]))])).first)
        #expect(metric.text(1) == "w" && metric.text(3) == "s")
        let point = try point(metric, 10)
        #expect(point.numbers[4] == [6] && point.double(5) == 6.1 && point.signed(6) == 4 && point.numbers[7] == [2])
        #expect(point.double(14) == 0x1p-20)
        let positive = try #require(try point.messages(8).first)
        #expect(positive.signed(1) == -1)
        #expect(positive.bytes[2] == [[2] + [UInt8](repeating: 0, count: 15) + [1, 0, 1]])
        #expect(try metric.messages(10).first?.numbers[2] == [2])
        let empty = try self.point(try #require(try metrics(encoded([family(histogram([]))])).first), 10)
        #expect(empty.numbers[4] == [0] && empty.bytes[8] == nil)
    }

    @Test("An explicit histogram has the classic buckets and their bounds; both are two metrics of one name")
    func explicit() throws {
        let content = [family(histogram([0.5, 1, 1.5, 7, 8]))]
        let metric = try #require(try metrics(encoded(content, .delta, .explicit)).first)
        let point = try point(metric, 9)
        #expect(point.numbers[4] == [5] && point.double(5) == 18)
        #expect(packedWords(point.bytes[6]?.first) == [2, 1, 2])
        #expect(packedWords(point.bytes[7]?.first).map(Double.init(bitPattern:)) == [1, 2])
        #expect(try metric.messages(9).first?.numbers[2] == [1])
        let both = try metrics(encoded(content, .cumulative, .both))
        #expect(both.map { $0.text(1) } == ["w", "w"] && both[0].bytes[9] != nil && both[1].bytes[10] != nil)
    }

    @Test("Buckets that lie far apart are merged until there are at most 1,024, and none is lost")
    func farApart() throws {
        for values in [[0x1p-19, .infinity], [1e-5, 1, 1e300], [0x1p-19, 0x1p45]] {
            let metric = try #require(try metrics(encoded([family(histogram(values))])).first)
            let point = try point(metric, 10)
            let positive = try #require(try point.messages(8).first)
            let counts = try #require(positive.bytes[2]?.first)
            #expect(counts.count <= 1024 && counts.reduce(0) { $0 + Int($1) } == values.count)
            #expect(try #require(point.signed(6)) >= -1)
            // The first bucket holds the first value, by the definition of the scale.
            let growth = Double.exp2(Double.exp2(-Double(try #require(point.signed(6)))))
            let lower = Double.pow(growth, Double(try #require(positive.signed(1))))
            #expect(lower < values[0] && values[0] <= lower * growth * (1 + 1e-12))
        }
    }

    @Test("A counter that Redis has counted before has no start time in cumulative pushes; gauges never have one")
    func startTimes() throws {
        let redis = MetricFamily(
            FamilyDeclaration("r_total", .counter, countsFrom: .unknown, "Redis."), value: 1)
        let own = MetricFamily("o_total", .counter, "Own.", value: 1)
        let gauge = MetricFamily("g", .gauge, "Gauge.", value: 1)
        func starts(_ temporality: OTLPMetrics.Temporality) throws -> [UInt64?] {
            let found = try metrics(encoded([redis, own, gauge], temporality))
            return try zip(found, [7, 7, 5]).map { try point($0, $1).numbers[2]?.first }
        }
        #expect(try starts(.cumulative) == [nil, 1_000_000_000, nil])
        #expect(try starts(.delta) == [1_000_000_000, 1_000_000_000, nil])
    }

    @Test("Exemplars stand in the order of their times; those that were pushed before are left out")
    func exemplars() throws {
        var histogram = Histogram(HistogramBounds(ascending: 1, 2))
        for (index, value) in [1.5, 0.5, 9].enumerated() {
            let span = SpanReference(
                trace: TraceID(high: 0x0102_0304_0506_0708, low: UInt64(index)), span: SpanID(0x1112_1314_1516_1718))
            histogram.observe(value, of: Exemplar.Origin(span: span, time: WallTime(seconds: Int64(10 + index))))
        }
        for (form, field, exemplarField) in [
            (OTLPMetrics.HistogramForm.exponential, 10, 11), (.explicit, 9, 8),
        ] {
            func found(since time: WallTime?) throws -> [Message] {
                let bytes = encoded([family(histogram)], .cumulative, form, exemplarsSince: time)
                return try point(try #require(try metrics(bytes).first), field).messages(exemplarField)
            }
            let all = try found(since: nil)
            #expect(all.map { $0.double(3) } == [1.5, 0.5, 9])
            #expect(all.map { $0.numbers[2] } == [[10_000_000_000], [11_000_000_000], [12_000_000_000]])
            #expect(all[1].bytes[4] == [[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]])
            #expect(all[1].bytes[5] == [[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1]])
            #expect(try found(since: WallTime(seconds: 11)).map { $0.double(3) } == [9])
        }
    }

    @Test(
        "A long request comes in pieces, each complete by itself, and is whole whatever its chunks",
        arguments: [1, 16, 1000])
    func pieces(chunk: Int) throws {
        let content = OTLPMetrics(.cumulative, .both, interval: Self.interval)
        var writer = OTLPRequestWriter(Self.source, content)
        var pieces: [[UInt8]] = []
        for name in ["a_seconds", "b_seconds"] {
            for start in stride(from: 0, to: 3000, by: chunk) {
                var family = MetricFamily(name, .histogram, "Help.")
                for number in start..<min(start + chunk, 3000) {
                    family.add(histogram([Double(number)]), LabelSet(["queue": "\(number)"]))
                }
                writer.append(family) { pieces.append(Array($0)) }
            }
        }
        writer.finish { pieces.append(Array($0)) }
        #expect(pieces.count > 5)
        var found: [String: [String]] = [:]
        for metric in try pieces.flatMap(metrics) {
            for (field, attributes) in [(9, 9), (10, 1)] {
                for point in try metric.messages(field).flatMap({ try $0.messages(1) }) {
                    let queue = try #require(try point.messages(attributes).first?.messages(2).first?.text(1))
                    found["\(try #require(metric.text(1))) \(field)", default: []].append(queue)
                }
            }
        }
        #expect(found.keys.sorted() == ["a 10", "a 9", "b 10", "b 9"])
        for queues in found.values { #expect(queues == (0..<3000).map { "\($0)" }) }
    }

    @Test("A clock that was set back does not turn the interval round")
    func clockSetBack() {
        let interval = OTLPMetrics.Interval(start: WallTime(seconds: 9), end: WallTime(seconds: 3))
        #expect(interval.start == interval.end)
    }
}

extension Double {
    fileprivate static func exp2(_ exponent: Double) -> Double { pow(2, exponent) }

    fileprivate static func pow(_ base: Double, _ exponent: Double) -> Double { Glibc.pow(base, exponent) }
}
