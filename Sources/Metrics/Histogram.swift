/// The upper bounds of a classic histogram's buckets, ascending and finite; `+Inf` is implied.
package struct HistogramBounds: Sendable, Equatable {
    package let values: [Double]

    /// nil unless `values` are finite and strictly ascending.
    package init?(_ values: [Double]) {
        guard values.allSatisfy(\.isFinite), zip(values, values.dropFirst()).allSatisfy(<) else { return nil }
        self.values = values
    }

    /// For bounds that stand in the source.
    package init(ascending values: Double...) {
        precondition(zip(values, values.dropFirst()).allSatisfy(<), "bounds must ascend")
        self.values = values
    }

    /// The bucket of `value`: the first whose bound is not below it; `values.count` stands for `+Inf`.
    func index(of value: Double) -> Int {
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A classic histogram. Not synchronized: its owner holds the lock.
package struct Histogram: Sendable {
    private let bounds: HistogramBounds
    /// Per bucket, not cumulative; the last one is `+Inf`.
    private var counts: [UInt64]
    private var sum = 0.0

    package init(_ bounds: HistogramBounds) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.values.count + 1)
    }

    package mutating func observe(_ value: Double) {
        counts[bounds.index(of: value)] += 1
        sum += value
    }

    package var snapshot: HistogramSnapshot {
        HistogramSnapshot(bounds: bounds, counts: counts, sum: sum)
    }
}

/// A histogram at one moment. `_count` is computed from the buckets, so that it can't disagree with `+Inf`.
package struct HistogramSnapshot: Sendable {
    package let bounds: HistogramBounds
    /// Per bucket, not cumulative; the last one is `+Inf`.
    package let counts: [UInt64]
    package let sum: Double

    package var count: UInt64 { counts.reduce(0, +) }
}
