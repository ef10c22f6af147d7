import Model
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
        var acknowledged = AcknowledgedSeries(maxBytes: .max)
        #expect(numbers(acknowledged.differences([counter(["a": 5])])) == [#"queue="a""#: 5])
        acknowledged.acknowledge([counter(["a": 5])])
        #expect(numbers(acknowledged.differences([counter(["a": 7])])) == [#"queue="a""#: 2])
        // That one failed.
        #expect(
            numbers(acknowledged.differences([counter(["a": 8, "b": 1])])) == [#"queue="a""#: 3, #"queue="b""#: 1])
    }

    @Test("A series that was absent for a while is not sent again, one that has begun anew is")
    func absence() {
        var acknowledged = AcknowledgedSeries(maxBytes: .max)
        acknowledged.acknowledge([counter(["a": 5])])
        for _ in 0..<100 { acknowledged.acknowledge([]) }
        #expect(numbers(acknowledged.differences([counter(["a": 6])])) == [#"queue="a""#: 1])
        #expect(numbers(acknowledged.differences([counter(["a": 2])])) == [#"queue="a""#: 2])
        #expect(acknowledged.bytes > 0)
        for _ in 0..<40 { acknowledged.acknowledge([]) }
        #expect(acknowledged.bytes == 0, "it is not remembered for ever")
    }

    @Test("A series whose request is refused in each push is remembered, and another one that has gone is not")
    func refused() {
        var acknowledged = AcknowledgedSeries(maxBytes: .max)
        acknowledged.acknowledge([counter(["a": 5, "gone": 7])])
        let both = acknowledged.bytes
        for _ in 0..<400 {
            _ = sent([counter(["a": 9])], to: &acknowledged)
            acknowledged.settleRefused()
            acknowledged.endPush()
        }
        #expect(acknowledged.bytes > 0 && acknowledged.bytes < both)
        #expect(
            numbers(acknowledged.differences([counter(["a": 9, "gone": 7])])) == [
                #"queue="a""#: 4, #"queue="gone""#: 7,
            ])
    }

    private func sent(_ families: [MetricFamily], to acknowledged: inout AcknowledgedSeries) -> [MetricFamily] {
        families.map { acknowledged.send($0, since: WallTime(seconds: 1), at: WallTime(seconds: 1)).family }
    }

    @Test("What Redis counted before is known only once it was pushed; gauges stay as they are")
    func unknownOrigin() {
        var acknowledged = AcknowledgedSeries(maxBytes: .max)
        let gauge = MetricFamily("g", .gauge, "Gauge.", value: 4)
        let first = counter(["a": 1000], countsFrom: .unknown)
        #expect(numbers(acknowledged.differences([first, gauge])) == ["": 4])
        acknowledged.acknowledge([first, gauge])
        let second = counter(["a": 1002], countsFrom: .unknown)
        #expect(numbers(acknowledged.differences([second, gauge])) == [#"queue="a""#: 2, "": 4])
    }

    @Test("Each series counts since it was acknowledged itself, where the requests of a push end differently")
    func starts() {
        func time(_ seconds: Int64) -> WallTime { WallTime(seconds: seconds) }
        var acknowledged = AcknowledgedSeries(maxBytes: .max)
        let first = acknowledged.send(counter(["a": 5]), since: time(1), at: time(10))
        #expect(first.starts == [time(1)])
        acknowledged.settle(isAcknowledged: true)
        _ = acknowledged.send(counter(["b": 3]), since: time(1), at: time(11))
        acknowledged.settle(isAcknowledged: false)
        let second = acknowledged.send(counter(["a": 6, "b": 4]), since: time(1), at: time(20))
        #expect(second.starts == [time(10), time(1)])
        #expect(numbers([second.family]) == [#"queue="a""#: 1, #"queue="b""#: 4])
    }

    @Test("Where memory is used up, series that are new are left out, those that are known go on")
    func full() {
        var acknowledged = AcknowledgedSeries(maxBytes: 2000)
        func many(_ value: Double) -> MetricFamily {
            counter(Dictionary(uniqueKeysWithValues: (0..<100).map { ("\($0)", value) }))
        }
        let sent = numbers(acknowledged.differences([many(1)]))
        #expect((1..<50).contains(sent.count) && acknowledged.leftOut == 100 - sent.count)
        #expect(acknowledged.bytes <= 2000)
        acknowledged.acknowledge([many(1)])
        acknowledged.beginPush()
        let next = numbers(acknowledged.differences([many(3)]))
        #expect(Set(next.keys) == Set(sent.keys) && next.values.allSatisfy { $0 == 2 })
        #expect(acknowledged.leftOut == 100 - sent.count)
    }

    @Test("Where the earlier moment is not one of the same histogram, all observations are new")
    func otherHistograms() {
        func histogram(_ values: [Double], _ bounds: HistogramBounds) -> Histogram {
            var histogram = Histogram(bounds)
            for value in values { histogram.observe(value) }
            return histogram
        }
        let bounds = HistogramBounds(ascending: 0.1, 1, 10)
        let whole = histogram([0, 0.5, 0.5, 5], bounds)
        for earlier in [
            histogram([0.5], HistogramBounds(ascending: 0.1, 1, 11)), histogram([0.5], HistogramBounds(ascending: 1)),
            histogram([0, 0], bounds), histogram([0.5, 0.5, 0.5], bounds), histogram([50], bounds),
            histogram([5.5], bounds),
        ] {
            let difference = whole.since(earlier)
            #expect(difference.count == 4 && difference.sum == 6 && difference.zeroCount == 1)
            #expect(Array(difference.counts) == Array(whole.counts))
        }
        let difference = whole.since(histogram([0, 0.5], bounds))
        #expect(difference.count == 2 && difference.sum == 5.5 && difference.zeroCount == 0)
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

extension AcknowledgedSeries {
    private static let time = WallTime(seconds: 1)

    /// What a push of these families says, which fails.
    fileprivate mutating func differences(_ families: [MetricFamily]) -> [MetricFamily] {
        defer { settle(isAcknowledged: false) }
        return sent(families)
    }

    /// Records that a push of these families was acknowledged.
    fileprivate mutating func acknowledge(_ families: [MetricFamily]) {
        _ = sent(families)
        settle(isAcknowledged: true)
        endPush()
    }

    private mutating func sent(_ families: [MetricFamily]) -> [MetricFamily] {
        families.map { $0.kind == .gauge ? $0 : send($0, since: Self.time, at: Self.time).family }
    }
}
