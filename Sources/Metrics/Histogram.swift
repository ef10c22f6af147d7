/// A histogram with both kinds of buckets, classic and native, of the same observations. Not synchronized: its owner holds
/// the lock.
///
/// An observation allocates only for a bucket or an exemplar that is the first of its kind, and, once, after a snapshot that
/// is still alive.
package struct Histogram: Sendable {
    private var storage: HistogramStorage

    package init(_ bounds: HistogramBounds) {
        storage = HistogramStorage(bounds)
    }

    /// Counts `value`; one that is not a number is not counted. `origin` becomes the exemplar of the value's bucket.
    package mutating func observe(_ value: Double, of origin: Exemplar.Origin? = nil) {
        if value.isNaN { return }
        if !isKnownUniquelyReferenced(&storage) { storage = HistogramStorage(copyOf: storage) }
        storage.observe(value, of: origin)
    }

    /// Copies nothing: the storage is shared until the next observation.
    package var snapshot: HistogramSnapshot { HistogramSnapshot(storage: storage) }
}

/// A histogram at one moment.
package struct HistogramSnapshot: Sendable {
    fileprivate let storage: HistogramStorage

    package var bounds: HistogramBounds { storage.bounds }
    /// Per bucket, not cumulative; the last one is `+Inf`.
    package var counts: [UInt64] { storage.counts }
    package var sum: Double { storage.sum }
    package var native: NativeBuckets { storage.native }
    /// The newest of each classic bucket that has one, in the order of the buckets.
    package var exemplars: [(bucket: Int, exemplar: Exemplar)] { storage.exemplars }

    /// Computed from the buckets, so that it can't disagree with `+Inf`. The native buckets hold as many, because each
    /// observation counts in both.
    package var count: UInt64 { storage.counts.reduce(0, +) }
}

/// What a histogram and its snapshots share. Unchecked: it is changed only by a histogram that is the only one to refer to it.
private final class HistogramStorage: @unchecked Sendable {
    let bounds: HistogramBounds
    private(set) var counts: [UInt64]
    private(set) var sum = 0.0
    private(set) var native = NativeBuckets()
    private(set) var exemplars: [(bucket: Int, exemplar: Exemplar)] = []

    init(_ bounds: HistogramBounds) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.values.count + 1)
    }

    init(copyOf other: HistogramStorage) {
        bounds = other.bounds
        counts = other.counts
        sum = other.sum
        native = other.native
        exemplars = other.exemplars
    }

    func observe(_ value: Double, of origin: Exemplar.Origin?) {
        let bucket = bounds.index(of: value)
        counts[bucket] += 1
        sum += value
        native.observe(value)
        guard let origin, value.isFinite else { return }
        let entry = (bucket: bucket, exemplar: Exemplar(value: value, origin: origin))
        let position = exemplars.firstIndex { $0.bucket >= bucket } ?? exemplars.count
        if position < exemplars.count && exemplars[position].bucket == bucket {
            exemplars[position] = entry
        } else {
            exemplars.insert(entry, at: position)
        }
    }
}
