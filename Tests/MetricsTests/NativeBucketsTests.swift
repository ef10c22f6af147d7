import Glibc
import Metrics
import TestSupport
import Testing

@Suite("Native buckets")
struct NativeBucketsTests {
    private func observed(_ values: [Double]) -> Histogram {
        var histogram = Histogram(HistogramBounds(ascending: 1))
        for value in values { histogram.observe(value) }
        return histogram
    }

    /// The bucket by the definition alone, from logarithms; where those are too near a bound to tell, nil.
    private func index(of value: Double, schema: Int) -> Int? {
        let exact = log2(value) * exp2(Double(schema))
        return abs(exact - exact.rounded()) < 1e-6 ? nil : Int(exact.rounded(.up))
    }

    @Test("a power of two is the upper bound of its bucket, and the next number up is in the next one")
    func powers() {
        for exponent in -19...40 {
            let power = exp2(Double(exponent))
            #expect(observed([power]).native.indices == [Int16(16 * exponent)])
            #expect(observed([power.nextUp]).native.indices == [Int16(16 * exponent + 1)])
        }
    }

    @Test("every bound of a power of two belongs to the bucket below, what is above it to the one above")
    func bounds() {
        for step in 1...16 {
            let bound = exp2(Double(step) / 16)
            #expect(observed([bound]).native.indices == [Int16(step)])
            #expect(observed([bound.nextUp]).native.indices == [Int16(step + 1)])
        }
    }

    @Test("the resolution is halved for the bucket that is one too many, not before")
    func halved() {
        let most = NativeBuckets.maxBuckets
        var histogram = observed((1...most).map { exp2(Double($0) / 16) })
        #expect(histogram.native.schema == 4 && histogram.native.indices.count == most)
        histogram.observe(exp2(Double(most + 1) / 16))
        #expect(histogram.native.schema == 3 && histogram.native.indices.count == most / 2 + 1)
        #expect(histogram.native.count == UInt64(most) + 1)
    }

    @Test("random values are where logarithms put them")
    func logarithms() {
        var random = SeededGenerator.fresh(for: "native buckets")
        for _ in 0..<20_000 {
            let value = exp2(Double.random(in: -19...40, using: &random))
            guard let expected = index(of: value, schema: 4) else { continue }
            #expect(observed([value]).native.indices == [Int16(expected)], "\(value)")
        }
    }

    @Test("values up to a microsecond, zero and negative ones are in the zero bucket")
    func zeroBucket() {
        let native = observed([0, -0.0, -5, 1e-9, 0x1p-20, (0x1p-20).nextUp]).native
        #expect(native.zeroCount == 5)
        #expect(native.indices == [-319])
        #expect(native.count == 6)
    }

    @Test("the largest numbers have their buckets, infinity one above, and what is no number is not counted")
    func extremes() {
        let histogram = observed([.greatestFiniteMagnitude, .infinity, .nan])
        #expect(histogram.native.indices == [16384, 16385])
        #expect(histogram.count == 2)
        #expect(histogram.native.count == 2)
    }

    @Test(
        "there are never more than 160 buckets, and each value stays in the bucket that holds it at the schema of the day"
    )
    func halving() {
        var random = SeededGenerator.fresh(for: "native halving")
        var histogram = Histogram(HistogramBounds(ascending: 1))
        var finest: [Int] = []
        var schemas: [Int] = []
        for decade in 0..<12 {
            for _ in 0..<500 {
                // Not near a bound, where logarithms can't tell.
                let value = exp2(Double.random(in: 0...Double(decade + 1), using: &random) * 3 - 15)
                guard let index = index(of: value, schema: 4) else { continue }
                finest.append(index)
                histogram.observe(value)
            }
            let native = histogram.native
            schemas.append(native.schema)
            #expect(native.indices.count <= NativeBuckets.maxBuckets)
            #expect(native.indices == native.indices.sorted() && Set(native.indices).count == native.indices.count)
            var expected: [Int: UInt64] = [:]
            // Two buckets of a schema are one of the next coarser; it ends where the second of them does.
            let width = 1 << (4 - native.schema)
            for index in finest { expected[Int((Double(index) / Double(width)).rounded(.up)), default: 0] += 1 }
            let found = Dictionary(uniqueKeysWithValues: zip(native.indices.map { Int($0) }, native.counts))
            #expect(found == expected, "after decade \(decade)")
        }
        #expect(schemas.first == 4)
        #expect(schemas.last == 2)
    }

    @Test("a quantile from a bucket, wherever in it one looks, is off by 4.4 % at the finest schema")
    func error() {
        var random = SeededGenerator.fresh(for: "native error")
        let values = (0..<5000).map { _ in exp2(Double.random(in: -4...4, using: &random)) }
        let native = observed(values).native
        #expect(native.schema == 4)
        for (share, value) in values.sorted().enumerated() {
            var cumulative: UInt64 = 0
            let bucket = zip(native.indices, native.counts).first { _, count in
                cumulative += count
                return cumulative > share
            }
            guard let index = bucket?.0 else { continue }
            let bounds = (lower: exp2(Double(index - 1) / 16), upper: exp2(Double(index) / 16))
            #expect(max(bounds.upper / value, value / bounds.lower) <= 1.0443)
        }
    }

    @Test("after any values the native count is that of the classic buckets")
    func counts() {
        var random = SeededGenerator.fresh(for: "native counts")
        for _ in 0..<200 {
            let count = Int.random(in: 0...50, using: &random)
            let histogram = observed((0..<count).map { _ in Double(bitPattern: random.next()) })
            #expect(histogram.native.count == histogram.count)
            #expect(histogram.native.indices.count <= NativeBuckets.maxBuckets)
        }
    }
}
