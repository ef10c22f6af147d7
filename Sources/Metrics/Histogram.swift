private import CLinux

/// A histogram with both kinds of buckets, classic and native, of the same observations. It is not synchronized: its
/// owner holds the lock. A copy is the histogram at one moment: it shares the storage until the next observation.
///
/// All that grows lies in one array, because a page reads thousands of histograms out of memory that no cache holds:
///
/// ```
/// words   one each     classic buckets, not cumulative; the last one is +Inf
///         one each     native buckets that hold something (`NativeBucket`), ascending
///         five each    exemplars, the newest of each classic bucket that has one, ascending (`Exemplar`)
/// ```
/// An observation allocates only for a bucket or an exemplar that is the first of its kind, and once after a copy that
/// is still alive.
package struct Histogram: Sendable {
    package let bounds: HistogramBounds
    package private(set) var sum = 0.0
    private(set) var words: [UInt64]
    private(set) var zeroCount: UInt64 = 0
    private(set) var schema = Int8(NativeBuckets.finestSchema)
    private var nativeCount: Int16 = 0

    package init(_ bounds: HistogramBounds) {
        self.bounds = bounds
        words = [UInt64](repeating: 0, count: bounds.values.count + 1)
    }

    // The places of the classic buckets in `words`.
    var classicRange: Range<Int> { 0..<bounds.values.count + 1 }
    var nativeRange: Range<Int> { classicRange.upperBound..<classicRange.upperBound + Int(nativeCount) }
    var exemplarRange: Range<Int> { nativeRange.upperBound..<words.count }

    /// Prefetches the words. Their number is not read, because it lies in the same memory.
    @inline(__always)
    func prefetch() {
        let count = nativeRange.upperBound + 4 * Exemplar.wordCount
        words.withUnsafeBytes { collector_prefetch($0.baseAddress, count * MemoryLayout<UInt64>.size) }
    }

    /// The count of each bucket, not cumulative; the last one is `+Inf`.
    package var counts: ArraySlice<UInt64> { words[classicRange] }
    package var native: NativeBuckets {
        NativeBuckets(schema: Int(schema), zeroCount: zeroCount, buckets: words[nativeRange].map(NativeBucket.init))
    }
    /// The exemplars in the order of the buckets.
    package var exemplars: [(bucket: Int, exemplar: Exemplar)] {
        stride(from: exemplarRange.lowerBound, to: words.count, by: Exemplar.wordCount).map { position in
            let exemplar = Exemplar(words.span, at: position)
            return (bounds.index(of: exemplar.value), exemplar)
        }
    }

    /// The number of observations. It is computed from the buckets, so that it can't disagree with `+Inf`. The native
    /// buckets hold as many, because each observation counts in both.
    package var count: UInt64 { counts.reduce(0, +) }

    /// Returns the value below which a share of the observations lies, by the native buckets as `QuantileBuckets` has them.
    /// Returns nil without observations.
    package func quantile(_ share: Double) -> Double? {
        let native = native
        let total = native.buckets.reduce(native.zeroCount) { $0 + $1.count }
        guard total > 0 else { return nil }
        let rank = QuantileBuckets.rank(of: share, among: total)
        var seen = native.zeroCount
        if seen >= rank { return 0 }
        for bucket in native.buckets {
            seen += bucket.count
            if seen >= rank { return QuantileBuckets.middle(ofNative: bucket.index, schema: native.schema) }
        }
        return nil
    }

    /// Counts `value`, unless it is NaN. `origin` becomes the exemplar of the value's bucket.
    package mutating func observe(_ value: Double, of origin: Exemplar.Origin? = nil) {
        if value.isNaN { return }
        let bucket = bounds.index(of: value)
        words[bucket] += 1
        sum += value
        observeNative(value)
        if let origin, value.isFinite { keep(Exemplar(value: value, origin: origin), bucket) }
    }

    private mutating func observeNative(_ value: Double) {
        guard value > NativeBuckets.zeroThreshold else {
            zeroCount += 1
            return
        }
        let finest = NativeBuckets.finestIndex(of: value)
        while true {
            let bucket = NativeBucket(
                index: NativeBuckets.coarsened(finest, by: NativeBuckets.finestSchema - Int(schema)))
            let position = position(of: bucket)
            if position < nativeRange.upperBound && NativeBucket(words[position]).index == bucket.index {
                words[position] += 1
                return
            }
            if nativeCount < NativeBuckets.maxBuckets || schema <= NativeBuckets.coarsestSchema {
                insert(CollectionOfOne(bucket.word + 1), at: position)
                nativeCount += 1
                return
            }
            halveResolution()
        }
    }

    /// Returns the place of a native bucket, or the place at which it would have to be inserted.
    private func position(of bucket: NativeBucket) -> Int {
        let words = words.span
        var (low, high) = (nativeRange.lowerBound, nativeRange.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if words[middle] < bucket.word { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func halveResolution() {
        schema -= 1
        let all = nativeRange
        var kept = all.lowerBound
        for position in all {
            let fine = NativeBucket(words[position])
            let coarse = NativeBucket(index: NativeBuckets.coarsened(fine.index, by: 1))
            if kept > all.lowerBound && NativeBucket(words[kept - 1]).index == coarse.index {
                words[kept - 1] += fine.count
            } else {
                words[kept] = coarse.word + fine.count
                kept += 1
            }
        }
        words.removeSubrange(kept..<all.upperBound)
        nativeCount = Int16(kept - all.lowerBound)
    }

    /// Returns the observations since `earlier`, a copy of the same histogram; all of them where that copy has more.
    /// The exemplars stay.
    package func since(_ earlier: Histogram) -> Histogram {
        guard bounds == earlier.bounds, schema <= earlier.schema, zeroCount >= earlier.zeroCount else { return self }
        var difference = self
        difference.sum -= earlier.sum
        difference.zeroCount -= earlier.zeroCount
        for bucket in classicRange {
            guard words[bucket] >= earlier.words[bucket] else { return self }
            difference.words[bucket] -= earlier.words[bucket]
        }
        let steps = Int(earlier.schema - schema)
        for position in earlier.nativeRange {
            let before = NativeBucket(earlier.words[position])
            let bucket = NativeBucket(index: NativeBuckets.coarsened(before.index, by: steps))
            let place = self.position(of: bucket)
            guard place < nativeRange.upperBound, difference.words[place] >= bucket.word + before.count else {
                return self
            }
            guard NativeBucket(difference.words[place]).index == bucket.index else { return self }
            difference.words[place] -= before.count
        }
        difference.removeEmptyNative()
        return difference
    }

    private mutating func removeEmptyNative() {
        let all = nativeRange
        let kept = words[all].filter { NativeBucket($0).count > 0 }
        words.replaceSubrange(all, with: kept)
        nativeCount = Int16(kept.count)
    }

    private mutating func keep(_ exemplar: Exemplar, _ bucket: Int) {
        var position = exemplarRange.lowerBound
        if bucket > 0 {
            let below = bounds.values[bucket - 1]
            while position < words.count && Exemplar.value(words.span, at: position) <= below {
                position += Exemplar.wordCount
            }
        }
        let isLast = bucket == bounds.values.count
        if position < words.count && (isLast || Exemplar.value(words.span, at: position) <= bounds.values[bucket]) {
            var words = words.mutableSpan
            exemplar.write(to: &words, at: position)
        } else {
            insert(repeatElement(0, count: Exemplar.wordCount), at: position)
            var words = words.mutableSpan
            exemplar.write(to: &words, at: position)
        }
    }

    /// Inserts words. The array grows by a quarter, where by itself it would double.
    private mutating func insert(_ new: some Collection<UInt64>, at position: Int) {
        let count = words.count + new.count
        if count > words.capacity { words.reserveCapacity(count + count / 4) }
        words.insert(contentsOf: new, at: position)
    }
}
