import Glibc

/// The buckets by which the program tells quantiles: those of a native histogram at schema 3. Sliding windows count in them and
/// histograms are read by them, so that both say the same of the same observations.
///
/// ```
/// bucket 0        up to 2^-20 s (0.95 µs), the zero bucket of a native histogram
/// bucket i        2^((i-161)/8) < seconds ≤ 2^((i-160)/8), for i from 1 to 318
/// bucket 319      all above 2^(158/8) s, 10.2 days
/// ```
/// A quantile is the geometric middle of its bucket, so its error is at most 2^(1/16) − 1 = 4.4 %; 0 for the first bucket, about
/// 11 days for the last one.
package enum QuantileBuckets {
    package static let count = 320
    /// The schema of native histograms that has the same edges.
    private static let schema = 3
    /// The bucket that ends at one second.
    private static let ofOneSecond = 160

    package static func bucket(of seconds: Double) -> Int {
        guard seconds > NativeBuckets.zeroThreshold else { return 0 }
        return bucket(ofNative: NativeBuckets.finestIndex(of: seconds), schema: NativeBuckets.finestSchema)
    }

    /// Returns the bucket that a native bucket lies in; its schema is not coarser than that of these buckets.
    private static func bucket(ofNative index: Int16, schema: Int) -> Int {
        let index = Int(NativeBuckets.coarsened(index, by: schema - Self.schema))
        return min(max(1, ofOneSecond + index), count - 1)
    }

    package static func middle(of bucket: Int) -> Double {
        bucket == 0 ? 0 : exp2((Double(bucket - ofOneSecond) - 0.5) / exp2(Double(schema)))
    }

    /// Returns the middle of the bucket that a native bucket lies in, or of the native bucket itself where that is wider.
    static func middle(ofNative index: Int16, schema: Int) -> Double {
        if schema >= Self.schema { return middle(of: bucket(ofNative: index, schema: schema)) }
        return exp2((Double(index) - 0.5) / exp2(Double(schema)))
    }

    /// Returns the nearest rank of a share: that of the smallest observation with at least that share of all at or below it.
    package static func rank(of share: Double, among observations: UInt64) -> UInt64 {
        max(1, UInt64((share * Double(observations)).rounded(.up)))
    }
}
