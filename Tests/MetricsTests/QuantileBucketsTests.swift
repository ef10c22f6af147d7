import Testing

@testable import Metrics

@Suite("The buckets of quantiles")
struct QuantileBucketsTests {
    @Test(
        "A bucket ends with its upper edge; what is not a time is in the first one, what is too long in the last",
        arguments: [
            (-1, 0), (0, 0), (.nan, 0), (0x1p-20, 0), ((0x1p-20 as Double).nextUp, 1), (0.5, 152), (1, 160),
            ((1 as Double).nextUp, 161), (2, 168), (0x1p19, 312), (1e6, 319), (1e300, 319), (.infinity, 319),
        ] as [(Double, Int)])
    func buckets(seconds: Double, bucket: Int) {
        #expect(QuantileBuckets.bucket(of: seconds) == bucket)
    }

    @Test("The middle of a bucket lies in it, and is at most 4.5 % from its edges")
    func middles() {
        #expect(QuantileBuckets.middle(of: 0) == 0)
        for bucket in 1..<QuantileBuckets.count {
            let middle = QuantileBuckets.middle(of: bucket)
            #expect(QuantileBuckets.bucket(of: middle) == bucket)
            if bucket < QuantileBuckets.count - 1 {
                #expect(QuantileBuckets.bucket(of: middle * 1.045) == bucket + 1)
                #expect(QuantileBuckets.bucket(of: middle / 1.045) == bucket - 1)
            }
        }
    }

    @Test("A native bucket of a finer schema is in the bucket of its values; a coarser one keeps its own middle")
    func native() {
        var histogram = Histogram(HistogramBounds(ascending: 1, 10))
        histogram.observe(7.45)
        #expect(histogram.schema == 4)
        #expect(histogram.quantile(0.95) == QuantileBuckets.middle(of: QuantileBuckets.bucket(of: 7.45)))
        #expect(QuantileBuckets.middle(ofNative: 3, schema: 0) == 0x1p2 * (2 as Double).squareRoot())
        #expect(QuantileBuckets.middle(ofNative: 24, schema: 3) == QuantileBuckets.middle(of: 184))
        #expect(QuantileBuckets.middle(ofNative: .max, schema: 4) == QuantileBuckets.middle(of: 319))
    }

    @Test("The rank is that of the smallest observation that the share reaches")
    func ranks() {
        let ranks = [(0, 9), (0.5, 1), (0.5, 2), (0.5, 3), (0.95, 20), (0.95, 21), (1, 7)].map {
            (share: Double, all: UInt64) in
            QuantileBuckets.rank(of: share, among: all)
        }
        #expect(ranks == [1, 1, 1, 2, 19, 20, 7])
    }
}
