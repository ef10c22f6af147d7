import Metrics
import Model
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
        let snapshot = histogram.snapshot
        #expect(snapshot.exemplars.map(\.bucket) == [0, 2])
        #expect(snapshot.exemplars.map(\.exemplar.value) == [0.75, 20])
        #expect(snapshot.exemplars.map(\.exemplar.origin) == [origin(3, seconds: 7), origin(2)])
    }

    @Test("infinity is counted, but is no exemplar")
    func infinite() {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        histogram.observe(.infinity, of: origin(1))
        #expect(histogram.snapshot.exemplars.isEmpty)
        #expect(histogram.snapshot.count == 1)
    }

    @Test("a snapshot does not change with what is observed later")
    func frozen() {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        histogram.observe(0.5, of: origin(1))
        let before = histogram.snapshot
        histogram.observe(0.5, of: origin(2))
        histogram.observe(3)
        #expect(before.counts == [1, 0])
        #expect(before.native.count == 1)
        #expect(before.exemplars.map(\.exemplar.origin) == [origin(1)])
    }
}
