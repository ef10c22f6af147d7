import TestSupport
import Testing

@testable import Metrics

@Suite("What came since an acknowledged push")
struct AcknowledgedSeriesTests {
    private func counter(_ values: [String: Double], countsFrom origin: CountOrigin = .start) -> MetricFamily {
        var family = MetricFamily(FamilyDeclaration("c_total", .counter, countsFrom: origin, "Counter."))
        for (queue, value) in values.sorted(by: { $0.key < $1.key }) { family.add(value, LabelSet(["queue": queue])) }
        return family
    }

    private func numbers(_ families: [MetricFamily]) -> [String: Double] {
        var numbers: [String: Double] = [:]
        for sample in families.flatMap(\.samples) {
            guard case .number(let value) = sample.value else { continue }
            numbers[String(decoding: sample.labels.encoded, as: UTF8.self)] = value
        }
        return numbers
    }

    @Test("A failed push loses nothing: the next one says what came since the last one that was acknowledged")
    func failedPush() {
        var acknowledged = AcknowledgedSeries()
        #expect(numbers(acknowledged.differences([counter(["a": 5])])) == [#"queue="a""#: 5])
        acknowledged.acknowledge([counter(["a": 5])])
        #expect(numbers(acknowledged.differences([counter(["a": 7])])) == [#"queue="a""#: 2])
        // That one failed.
        #expect(
            numbers(acknowledged.differences([counter(["a": 8, "b": 1])])) == [#"queue="a""#: 3, #"queue="b""#: 1])
    }

    @Test("A series that was absent for a while is not sent again, one that has begun anew is")
    func absence() {
        var acknowledged = AcknowledgedSeries()
        acknowledged.acknowledge([counter(["a": 5])])
        for _ in 0..<100 { acknowledged.acknowledge([]) }
        #expect(numbers(acknowledged.differences([counter(["a": 6])])) == [#"queue="a""#: 1])
        #expect(numbers(acknowledged.differences([counter(["a": 2])])) == [#"queue="a""#: 2])
        #expect(acknowledged.bytes > 0)
        for _ in 0..<40 { acknowledged.acknowledge([]) }
        #expect(acknowledged.bytes == 0, "it is not remembered for ever")
    }

    @Test("What Redis counted before is known only once it was pushed; gauges stay as they are")
    func unknownOrigin() {
        var acknowledged = AcknowledgedSeries()
        let gauge = MetricFamily("g", .gauge, "Gauge.", value: 4)
        let first = counter(["a": 1000], countsFrom: .unknown)
        #expect(numbers(acknowledged.differences([first, gauge])) == ["": 4])
        acknowledged.acknowledge([first, gauge])
        let second = counter(["a": 1002], countsFrom: .unknown)
        #expect(numbers(acknowledged.differences([second, gauge])) == [#"queue="a""#: 2, "": 4])
    }

    @Test("The difference of two moments of a histogram is the histogram of what was observed between them")
    func histograms() {
        var random = SeededGenerator.fresh(for: "differences of histograms")
        for _ in 0..<200 {
            var whole = Histogram(HistogramBounds(ascending: 0.1, 1, 10))
            var later = whole
            func value() -> Double {
                Double.random(in: -0.1...1, using: &random) * (Bool.random(using: &random) ? 1e3 : 1e-3)
            }
            for _ in 0..<Int.random(in: 0...300, using: &random) { whole.observe(value()) }
            let earlier = whole
            for _ in 0..<Int.random(in: 0...300, using: &random) {
                let value = value()
                whole.observe(value)
                later.observe(value)
            }
            let difference = whole.since(earlier)
            #expect(Array(difference.counts) == Array(later.counts) && difference.zeroCount == later.zeroCount)
            #expect(abs(difference.sum - later.sum) <= 1e-9 * max(1, abs(whole.sum)))
            // At the resolution of the difference, which is the coarser one.
            let steps = Int(later.schema - difference.schema)
            var expected: [Int16: UInt64] = [:]
            for bucket in later.native.buckets {
                expected[NativeBuckets.coarsened(bucket.index, by: steps), default: 0] += bucket.count
            }
            let found = Dictionary(uniqueKeysWithValues: difference.native.buckets.map { ($0.index, $0.count) })
            #expect(found == expected)
            #expect(later.since(whole.count > later.count ? whole : later).count <= later.count)
        }
    }
}
