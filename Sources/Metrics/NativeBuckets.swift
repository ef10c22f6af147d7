import Glibc

/// The buckets of a native (exponential) histogram.
///
/// ```
/// schema s         growth = 2^(2^-s): at schema 4, 1.044
/// zero bucket      values up to 2^-20 s (0.95 µs), and those that are not above 0
/// bucket i         growth^(i-1) < value ≤ growth^i, for i from -319 (schema 4) upwards
/// ```
/// Only buckets that hold something are kept, in ascending order, at most 160 of them. When another one is needed,
/// pairs of neighbours are merged (schema s-1: bucket i goes to ⌈i/2⌉), as often as it takes.
///
/// A value is off by at most growth − 1 wherever in its bucket a reader takes it to be: 4.4 % at schema 4, whose 160 buckets
/// span three decades without a gap; 9 % at schema 3, where they span six. From the geometric middle it is half of that.
///
/// Source: https://prometheus.io/docs/specs/native_histograms/
package struct NativeBuckets: Sendable {
    package static let finestSchema = 4
    package static let coarsestSchema = -4
    package static let maxBuckets = 160
    package static let zeroThreshold = 0x1p-20

    package let schema: Int
    package let zeroCount: UInt64
    /// The buckets that hold something, ascending.
    let buckets: [NativeBucket]

    package var indices: [Int16] { buckets.map(\.index) }
    /// The counts of these buckets; as many as `indices`.
    package var counts: [UInt64] { buckets.map(\.count) }
    package var count: UInt64 { counts.reduce(zeroCount, +) }

    /// Returns ⌈index / 2^steps⌉.
    static func coarsened(_ index: Int16, by steps: Int) -> Int16 {
        Int16(truncatingIfNeeded: (Int(index) + (1 << steps) - 1) >> steps)
    }

    /// Returns the bucket at schema 4: 16 times the binary exponent, plus the number of the 16 bounds within the power
    /// of two that lie below the value. It is at most 16 · 1024 + 1. Infinity has a bucket of its own above all others.
    static func finestIndex(of value: Double) -> Int16 {
        if value.isInfinite { return 16 * 1024 + 1 }
        let mantissa = value.significandBitPattern
        // Since 2^(j/16) − 1 ≤ j/16, as many bounds lie below as the linear guess says, or up to two more.
        var below = Int(mantissa >> 48)
        while below < 16 && bounds[below] < mantissa { below += 1 }
        return Int16(truncatingIfNeeded: Int(value.exponent) * 16 + below)
    }

    /// The fraction bits of 2^(j/16), j = 0 … 15.
    private static let bounds: [UInt64] = (0..<16).map { exp2(Double($0) / 16).significandBitPattern }
}

/// A bucket and what it holds in one word; the words are in the order of the buckets.
///
/// ```
/// bits 48 … 63   index + 2^15
/// bits 0 … 47    observations: space for a million a second through eight years
/// ```
struct NativeBucket {
    let word: UInt64

    init(_ word: UInt64) { self.word = word }

    /// Makes an empty bucket.
    init(index: Int16) { word = UInt64(UInt16(bitPattern: index) ^ 0x8000) << 48 }

    var index: Int16 { Int16(bitPattern: UInt16(truncatingIfNeeded: word >> 48) ^ 0x8000) }
    var count: UInt64 { word & (1 << 48 - 1) }
}
