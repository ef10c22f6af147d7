import Glibc

/// The buckets of a native (exponential) histogram.
///
/// ```
/// schema s         growth = 2^(2^-s): at schema 4, 1.044
/// zero bucket      values up to 2^-20 s (0.95 µs), and those that are not above 0
/// bucket i         growth^(i-1) < value ≤ growth^i, for i from -319 (schema 4) upwards
/// ```
/// Only buckets that hold something are kept, in ascending order, at most 160 of them. When another one is needed, pairs of
/// neighbours are merged (schema s-1: bucket i goes to ⌈i/2⌉), as often as it takes.
///
/// A value is off by at most growth − 1 wherever in its bucket a reader takes it to be: 4.4 % at schema 4, whose 160 buckets
/// span three decades without a gap; 9 % at schema 3, where they span six. From the geometric middle it is half of that.
///
/// Source: https://prometheus.io/docs/specs/native_histograms/
package struct NativeBuckets: Sendable, Equatable {
    package static let finestSchema = 4
    package static let coarsestSchema = -4
    package static let maxBuckets = 160
    package static let zeroThreshold = 0x1p-20

    package private(set) var schema = finestSchema
    package private(set) var zeroCount: UInt64 = 0
    /// Of the buckets that hold something, ascending.
    package private(set) var indices: [Int16] = []
    /// What they hold; as long as `indices`.
    package private(set) var counts: [UInt64] = []
    private let maxBuckets: Int

    package init(maxBuckets: Int = maxBuckets) {
        self.maxBuckets = maxBuckets
    }

    package var count: UInt64 { counts.reduce(zeroCount, +) }

    /// `value` is a number; infinity has a bucket of its own above all others.
    mutating func observe(_ value: Double) {
        guard value > Self.zeroThreshold else {
            zeroCount += 1
            return
        }
        let finest = Self.finestIndex(of: value)
        while true {
            let index = Self.coarsened(finest, by: Self.finestSchema - schema)
            let position = position(of: index)
            if position < indices.count && indices[position] == index {
                counts[position] += 1
                return
            }
            if indices.count < maxBuckets || schema <= Self.coarsestSchema {
                indices.insert(index, at: position)
                counts.insert(1, at: position)
                return
            }
            halveResolution()
        }
    }

    /// Where `index` is, or would have to be inserted.
    private func position(of index: Int16) -> Int {
        var low = 0
        var high = indices.count
        while low < high {
            let middle = (low + high) / 2
            if indices[middle] < index { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func halveResolution() {
        schema -= 1
        var kept = 0
        for (index, count) in zip(indices, counts) {
            let coarse = Self.coarsened(index, by: 1)
            if kept > 0 && indices[kept - 1] == coarse {
                counts[kept - 1] += count
            } else {
                indices[kept] = coarse
                counts[kept] = count
                kept += 1
            }
        }
        indices.removeSubrange(kept...)
        counts.removeSubrange(kept...)
    }

    /// ⌈index / 2^steps⌉
    private static func coarsened(_ index: Int16, by steps: Int) -> Int16 {
        Int16(truncatingIfNeeded: (Int(index) + (1 << steps) - 1) >> steps)
    }

    /// The bucket at schema 4: 16 times the binary exponent, and how many of the 16 bounds within the power of two lie below
    /// the value. At most 16 · 1024 + 1.
    private static func finestIndex(of value: Double) -> Int16 {
        if value.isInfinite { return 16 * 1024 + 1 }
        let mantissa = value.significandBitPattern
        // 2^(j/16) − 1 ≤ j/16: as many bounds as the linear guess says lie below, and at most two more.
        var below = Int(mantissa >> 48)
        while below < 16 && bounds[below] < mantissa { below += 1 }
        return Int16(truncatingIfNeeded: Int(value.exponent) * 16 + below)
    }

    /// The fraction bits of 2^(j/16), j = 0 … 15.
    private static let bounds: [UInt64] = (0..<16).map { exp2(Double($0) / 16).significandBitPattern }
}
