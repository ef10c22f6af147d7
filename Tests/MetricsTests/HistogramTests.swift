import Metrics
import TestSupport
import Testing

@Suite("Histograms")
struct HistogramTests {
    @Test("a value on a bound belongs to that bound's bucket (le)")
    func edges() throws {
        let bounds = try #require(HistogramBounds([1, 2.5, 5]))
        var histogram = Histogram(bounds)
        for value in [1, 2.5, 5] { histogram.observe(value) }
        #expect(histogram.counts == [1, 1, 1, 0])
    }

    @Test("a value next to a bound falls on its own side")
    func nextToAnEdge() throws {
        let bounds = try #require(HistogramBounds([1, 2]))
        var histogram = Histogram(bounds)
        for value in [(1.0).nextDown, (1.0).nextUp, (2.0).nextUp, -5, 0, .infinity] { histogram.observe(value) }
        #expect(histogram.counts == [3, 1, 2])
    }

    @Test("count is the sum of the buckets, sum the sum of the values")
    func sums() throws {
        let bounds = try #require(HistogramBounds([0.5]))
        var histogram = Histogram(bounds)
        for value in [0.25, 0.5, 8] { histogram.observe(value) }
        #expect(histogram.count == 3)
        #expect(histogram.sum == 8.75)
    }

    @Test("bounds must be finite and strictly ascending")
    func badBounds() {
        #expect(HistogramBounds([1, 1]) == nil)
        #expect(HistogramBounds([2, 1]) == nil)
        #expect(HistogramBounds([1, .infinity]) == nil)
        #expect(HistogramBounds([.nan]) == nil)
        #expect(HistogramBounds([1, .nan, 2]) == nil)
        #expect(HistogramBounds([-1, 0, 1]) != nil)
    }

    @Test("without bounds everything is in +Inf")
    func noBounds() throws {
        let bounds = try #require(HistogramBounds([]))
        var histogram = Histogram(bounds)
        histogram.observe(3)
        #expect(histogram.counts == [1])
    }

    @Test("every value lands where a plain search puts it")
    func againstPlainSearch() throws {
        var random = SeededGenerator.fresh(for: "histogram buckets")
        for size in 0...20 {
            let values = Set((0..<size).map { _ in Double(Int.random(in: -50...50, using: &random)) / 4 }).sorted()
            let bounds = try #require(HistogramBounds(values))
            for _ in 0..<50 {
                let value = Double(Int.random(in: -60...60, using: &random)) / 4
                var histogram = Histogram(bounds)
                histogram.observe(value)
                let expected = values.firstIndex { value <= $0 } ?? values.count
                #expect(histogram.counts.firstIndex(of: 1) == expected)
            }
        }
    }
}

@Suite("Quantiles of a histogram")
struct HistogramQuantileTests {
    @Test("A quantile is within half a bucket of the true one; zero and nothing are told apart")
    func quantiles() throws {
        var histogram = Histogram(HistogramBounds(ascending: 1, 10))
        #expect(histogram.quantile(0.95) == nil)
        for value in 1...100 { histogram.observe(Double(value)) }
        for (share, expected) in [(0.5, 50.0), (0.95, 95), (0.99, 99), (1, 100)] {
            let found = try #require(histogram.quantile(share))
            #expect(abs(found / expected - 1) < 0.05)
        }
        var zeros = Histogram(HistogramBounds(ascending: 1, 10))
        zeros.observe(0)
        #expect(zeros.quantile(0.5) == 0)
    }
}
