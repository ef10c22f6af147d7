import Metrics
import Model
import TestSupport
import Testing

@Suite("The protobuf format")
struct ProtobufTests {
    private func decoded(_ families: MetricFamily...) throws -> [Message] {
        try Message.delimited(PageFormat.protobuf.encode(families))
    }

    /// The native buckets as a reader of the format finds them.
    private func nativeBuckets(_ histogram: Message) throws -> [Int: Int] {
        var found: [Int: Int] = [:]
        let deltas = try histogram.packedSigned(13)
        var position = 0
        var index = 0
        var count = 0
        for span in try histogram.messages(12) {
            index += span.signed(1) ?? 0
            for _ in 0..<(span.numbers[2]?.first ?? 0) {
                try #require(position < deltas.count)
                count += deltas[position]
                position += 1
                found[index] = count
                index += 1
            }
        }
        #expect(position == deltas.count)
        return found
    }

    @Test("counters, gauges and infos have their fields; names keep their suffixes")
    func numbers() throws {
        var gauge = MetricFamily("g_bytes", .gauge, "help \"g\"")
        gauge.add(-1.5, LabelSet([("queue", ForeignText("ü\"\n")), ("state", ForeignText([0xFF]))]))
        gauge.add(0)
        let families = try decoded(
            MetricFamily("c_total", .counter, "h", value: 3), gauge, MetricFamily("b_info", .info, "h", value: 1))
        #expect(families.map { $0.text(1) } == ["c_total", "g_bytes", "b_info"])
        let types: [[UInt64]?] = families.map { $0.numbers[3] }
        #expect(types == [[0], [1], [1]])
        #expect(families.map { $0.text(5) } == [nil, "bytes", nil])
        #expect(families[1].text(2) == "help \"g\"")
        let counter = try families[0].messages(4).first?.messages(3).first
        #expect(counter?.double(1) == 3)
        let samples = try families[1].messages(4)
        let values: [Double?] = try samples.map { try $0.messages(2).first?.double(1) }
        #expect(values == [-1.5, 0])
        let labels = try samples[0].messages(1)
        #expect(labels.map { $0.text(1) } == ["queue", "state"])
        #expect(labels.map { $0.text(2) } == ["ü\"\n", "\\xFF"])
        #expect(try samples[1].messages(1).isEmpty)
    }

    @Test("a histogram has both kinds of buckets, and its exemplars in the classic ones")
    func histogram() throws {
        var histogram = Histogram(HistogramBounds(ascending: 1, 4))
        for value in [0, 1, 1.01, 1.02, 16] { histogram.observe(value, of: value == 16 ? origin(9) : nil) }
        var family = MetricFamily("d_seconds", .histogram, "h")
        family.add(histogram)
        let found = try #require(try decoded(family).first?.messages(4).first?.messages(7).first)
        #expect(found.numbers[1] == [5])
        #expect(found.double(2) == 19.03)
        let buckets = try found.messages(3)
        let counts: [UInt64?] = buckets.map { $0.numbers[1]?.first }
        #expect(counts == [2, 4, 5])
        let bounds: [Double?] = buckets.map { $0.double(2) }
        #expect(bounds == [1, 4, .infinity])
        let exemplars: [Int] = try buckets.map { try $0.messages(3).count }
        #expect(exemplars == [0, 0, 1])
        let exemplar = try #require(try buckets[2].messages(3).first)
        let labels = try exemplar.messages(1)
        #expect(labels.map { $0.text(1) } == ["trace_id", "span_id"])
        #expect(labels.map { $0.text(2) } == ["00000000000000ab0000000000000009", "0000000000000009"])
        #expect(exemplar.double(2) == 16)
        let time = try #require(try exemplar.messages(3).first)
        #expect(time.numbers[1]?.first == 1_795_197_881)
        #expect(time.numbers[2]?.first == 65_251_733)
        #expect(found.signed(5) == 4)
        #expect(found.double(6) == 0x1p-20)
        #expect(found.numbers[7] == [1])
        #expect(try nativeBuckets(found) == [0: 1, 1: 2, 64: 1])
    }

    @Test("values exactly on bounds are in the bound's bucket of both kinds, and so are their exemplars")
    func onBounds() throws {
        for (value, bucket, native) in [
            (1.0, 0, 0), ((1.0).nextUp, 1, 1), ((4.0).nextDown, 1, 32), (4.0, 1, 32), ((4.0).nextUp, 2, 33),
            (0x1p-19, 0, -304),
        ] {
            var histogram = Histogram(HistogramBounds(ascending: 1, 4))
            histogram.observe(value, of: origin(9))
            var family = MetricFamily("d", .histogram, "h")
            family.add(histogram)
            let found = try #require(try decoded(family).first?.messages(4).first?.messages(7).first)
            let buckets = try found.messages(3)
            let counts: [UInt64?] = buckets.map { $0.numbers[1]?.first }
            #expect(counts == (0..<3).map { $0 < bucket ? 0 : 1 }, "\(value)")
            let exemplars: [Int] = try buckets.map { try $0.messages(3).count }
            #expect(exemplars == (0..<3).map { $0 == bucket ? 1 : 0 }, "\(value)")
            #expect(try buckets[bucket].messages(3).first?.double(2) == value)
            #expect(try nativeBuckets(found) == [native: 1], "\(value)")
            #expect(found.numbers[7] == [0])
        }
    }

    @Test("the zero bucket holds its own threshold, and nothing above it")
    func zeroThreshold() throws {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        histogram.observe(0x1p-20)
        histogram.observe((0x1p-20).nextUp)
        var family = MetricFamily("d", .histogram, "h")
        family.add(histogram)
        let found = try #require(try decoded(family).first?.messages(4).first?.messages(7).first)
        #expect(found.numbers[7] == [1])
        #expect(try nativeBuckets(found) == [-319: 1])
    }

    @Test("lengths of every size are right: of labels, series and families")
    func lengths() throws {
        for size in [0, 1, 100, 126, 127, 128, 1000, 16_000, 16_383, 16_384, 70_000] {
            let text = String(repeating: "x", count: size)
            var family = MetricFamily("g", .gauge, text)
            // A label has 256 bytes at most; a series has as many labels as it takes.
            let texts = stride(from: 0, through: size, by: 250).map { "\"" + text.prefix(min(250, size - $0)) }
            let labels = texts.enumerated().map { (name: "l\($0)", value: ForeignText($1)) }
            for value in 1...3 { family.add(Double(value), LabelSet(labels)) }
            let found = try decoded(family, MetricFamily("h", .gauge, "after", value: 4))
            #expect(found.map { $0.text(1) } == ["g", "h"])
            #expect(found[0].text(2) ?? "" == text)
            for (number, sample) in try found[0].messages(4).enumerated() {
                #expect(try sample.messages(1).map { $0.text(2) ?? "" } == texts)
                #expect(try sample.messages(2).first?.double(1) == Double(number + 1))
            }
            #expect(try found[1].messages(4).first?.messages(2).first?.double(1) == 4)
        }
    }

    @Test("a histogram without observations is a native one all the same: it has an empty span")
    func emptyHistogram() throws {
        var family = MetricFamily("d_seconds", .histogram, "h")
        family.add(Histogram(HistogramBounds(ascending: 1)))
        let found = try #require(try decoded(family).first?.messages(4).first?.messages(7).first)
        let spans = try found.messages(12)
        #expect(spans.count == 1)
        #expect(spans.first?.numbers == [1: [0], 2: [0]])
        #expect(found.bytes[13] == nil)
        let counts: [UInt64?] = try found.messages(3).map { $0.numbers[1]?.first }
        #expect(counts == [0, 0])
    }

    @Test("random histograms come back, at every schema, and their counts agree")
    func random() throws {
        var random = SeededGenerator.fresh(for: "protobuf histograms")
        for round in 0..<100 {
            var family = MetricFamily("d_seconds", .histogram, "h")
            var histograms: [Histogram] = []
            for _ in 0..<5 {
                var histogram = Histogram(HistogramBounds(ascending: 0.01, 1, 100))
                for _ in 0..<Int.random(in: 0...400, using: &random) {
                    let bits = UInt64.random(in: 0x3E00 << 48...(0x3E00 + UInt64(round) * 4) << 48, using: &random)
                    histogram.observe(Double(bitPattern: bits))
                }
                histograms.append(histogram)
                family.add(histogram, LabelSet(["n": String(histograms.count)]))
            }
            let samples = try #require(try decoded(family).first).messages(4)
            for (sample, histogram) in zip(samples, histograms) {
                let found = try #require(try sample.messages(7).first)
                let native = try nativeBuckets(found)
                #expect(found.signed(5) == histogram.native.schema)
                var expected: [Int: Int] = [:]
                for (index, count) in zip(histogram.native.indices, histogram.native.counts) {
                    expected[Int(index)] = Int(count)
                }
                #expect(native == expected)
                let zero = Int(found.numbers[7]?.first ?? 0)
                let total = native.values.reduce(zero, +)
                #expect(found.numbers[1]?.first == UInt64(total))
                let last = try found.messages(3).last
                #expect(last?.numbers[1]?.first == UInt64(total))
            }
            #expect(samples.count == 5)
        }
    }
}
