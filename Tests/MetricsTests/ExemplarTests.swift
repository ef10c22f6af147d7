import Glibc
import Metrics
import Model
import TestSupport
import Testing

func origin(_ number: UInt64, seconds: Int64 = 1_795_197_881) -> Exemplar.Origin {
    let span = SpanReference(trace: TraceID(high: 0xAB, low: number), span: SpanID(number))
    return Exemplar.Origin(span: span, time: WallTime(nanoseconds: seconds * 1_000_000_000 + 65_251_733))
}

@Suite("Exemplars")
struct ExemplarTests {
    @Test("each bucket keeps its newest exemplar, with its value and time; an observation without one leaves it")
    func newest() {
        var histogram = Histogram(HistogramBounds(ascending: 1, 10))
        histogram.observe(0.5, of: origin(1))
        histogram.observe(20, of: origin(2))
        histogram.observe(0.75, of: origin(3, seconds: 7))
        histogram.observe(0.25)
        #expect(histogram.exemplars.map(\.bucket) == [0, 2])
        #expect(histogram.exemplars.map(\.exemplar.value) == [0.75, 20])
        #expect(histogram.exemplars.map(\.exemplar.origin) == [origin(3, seconds: 7), origin(2)])
    }

    @Test("an exemplar exactly on a bound takes the place of its bucket's, not that of the next bucket")
    func onBounds() {
        var histogram = Histogram(HistogramBounds(ascending: 1, 10))
        for (number, value) in [0.5, 5, 50, 1, 10].enumerated() { histogram.observe(value, of: origin(UInt64(number))) }
        #expect(histogram.exemplars.map(\.exemplar.value) == [1, 10, 50])
        #expect(histogram.exemplars.map(\.bucket) == [0, 1, 2])
        histogram.observe((1.0).nextUp, of: origin(9))
        histogram.observe((10.0).nextUp, of: origin(10))
        #expect(histogram.exemplars.map(\.exemplar.value) == [1, (1.0).nextUp, (10.0).nextUp])
    }

    @Test("infinity is counted, but is no exemplar")
    func infinite() {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        histogram.observe(.infinity, of: origin(1))
        #expect(histogram.exemplars.isEmpty)
        #expect(histogram.count == 1)
    }

    @Test("a copy does not change with what is observed later, nor the other way round")
    func frozen() {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        histogram.observe(0.5, of: origin(1))
        let before = histogram
        histogram.observe(0.5, of: origin(2))
        histogram.observe(3)
        #expect(before.counts == [1, 0])
        #expect(before.native.count == 1)
        #expect(before.exemplars.map(\.exemplar.origin) == [origin(1)])
        #expect(histogram.counts == [2, 1])
        #expect(histogram.exemplars.map(\.exemplar.origin) == [origin(2)])
    }

    @Test("buckets of both kinds and exemplars are what a plain count of the same observations has")
    func againstPlainCount() {
        var random = SeededGenerator.fresh(for: "exemplars beside buckets")
        let bounds = HistogramBounds(ascending: -1, 0, 0.001, 1, 1000)
        for spread in [1.0, 3, 30, 300] {
            var histogram = Histogram(bounds)
            var counts = [UInt64](repeating: 0, count: 6)
            var newest = [Exemplar?](repeating: nil, count: 6)
            for number in 0..<500 {
                let value = exp2(Double.random(in: -spread...spread, using: &random)) - (number % 10 == 0 ? 2 : 0)
                let bucket = bounds.values.firstIndex { value <= $0 } ?? 5
                let origin = number % 3 == 0 ? origin(UInt64(number), seconds: Int64(number)) : nil
                histogram.observe(value, of: origin)
                counts[bucket] += 1
                if let origin { newest[bucket] = Exemplar(value: value, origin: origin) }
                #expect(Array(histogram.counts) == counts)
                #expect(histogram.native.count == histogram.count)
                #expect(histogram.exemplars.map(\.exemplar) == newest.compactMap { $0 })
                #expect(histogram.exemplars.map(\.bucket) == newest.indices.filter { newest[$0] != nil })
            }
            #expect((histogram.native.schema < NativeBuckets.finestSchema) == (spread > 3))
        }
    }
}
