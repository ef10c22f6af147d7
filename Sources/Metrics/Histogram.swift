/// A histogram with both kinds of buckets, classic and native, of the same observations. Not synchronized: its owner holds
/// the lock.
///
/// Memory, with 18 bounds: about 0.5 KB with ten native buckets in use; at most 2.1 KB, and 1.2 KB more once each
/// classic bucket has an exemplar. An observation allocates only for a bucket or an exemplar that is the first of its kind,
/// and after a page was made, once.
package struct Histogram: Sendable {
    package private(set) var snapshot: HistogramSnapshot

    package init(_ bounds: HistogramBounds) {
        snapshot = HistogramSnapshot(bounds)
    }

    /// Counts `value`; one that is not a number is not counted. `origin` becomes the exemplar of the value's bucket.
    package mutating func observe(_ value: Double, of origin: Exemplar.Origin? = nil) {
        if value.isNaN { return }
        snapshot.observe(value, of: origin)
    }
}

/// A histogram at one moment. It shares its storage with the histogram until that is observed into, so taking one copies
/// nothing.
package struct HistogramSnapshot: Sendable {
    package let bounds: HistogramBounds
    /// Per bucket, not cumulative; the last one is `+Inf`.
    package private(set) var counts: [UInt64]
    package private(set) var sum = 0.0
    package private(set) var native = NativeBuckets()
    /// The newest of each classic bucket that has one, in no order.
    private var exemplars: [(bucket: Int32, exemplar: Exemplar)] = []

    fileprivate init(_ bounds: HistogramBounds) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.values.count + 1)
    }

    /// Computed from the buckets, so that it can't disagree with `+Inf`. The native buckets hold as many, because each
    /// observation counts in both.
    package var count: UInt64 { counts.reduce(0, +) }

    package var exemplarCount: Int { exemplars.count }

    package func exemplar(ofBucket bucket: Int) -> Exemplar? {
        exemplars.first { $0.bucket == bucket }?.exemplar
    }

    fileprivate mutating func observe(_ value: Double, of origin: Exemplar.Origin?) {
        let bucket = bounds.index(of: value)
        counts[bucket] += 1
        sum += value
        native.observe(value)
        guard let origin, value.isFinite else { return }
        let entry = (bucket: Int32(truncatingIfNeeded: bucket), exemplar: Exemplar(value: value, origin: origin))
        if let index = exemplars.firstIndex(where: { $0.bucket == bucket }) {
            exemplars[index] = entry
        } else {
            exemplars.append(entry)
        }
    }
}
