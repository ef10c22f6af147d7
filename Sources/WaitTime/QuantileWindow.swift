import Metrics
package import Model

/// Quantiles over a sliding window, in fixed memory: counts in `QuantileBuckets`, kept for each sixth of the window. A slice takes
/// 1,280 bytes once something was observed in it, a window at most 7,680.
package struct QuantileWindow: Sendable {
    static let sliceCount = 6

    private var slices: [[UInt32]] = Array(repeating: [], count: sliceCount)
    /// The number of the slice that is written to, counted from the clock's origin.
    private var current: UInt64 = 0
    private let sliceNanoseconds: UInt64

    package init(window: Duration) {
        sliceNanoseconds = max(1, UInt64(clamping: window.wholeNanoseconds) / UInt64(Self.sliceCount))
    }

    package mutating func observe(_ seconds: Double, at now: MonotonicTime) {
        advance(to: now)
        let index = Int(current % UInt64(Self.sliceCount))
        if slices[index].isEmpty { slices[index] = [UInt32](repeating: 0, count: QuantileBuckets.count) }
        slices[index][QuantileBuckets.bucket(of: seconds)] &+= 1
    }

    /// Clears the slices that lie before the window.
    private mutating func advance(to now: MonotonicTime) {
        let number = now.nanoseconds / sliceNanoseconds
        if number <= current { return }
        let passed = min(number - current, UInt64(Self.sliceCount))
        for step in 0..<passed {
            slices[Int((number - step) % UInt64(Self.sliceCount))] = []
        }
        current = number
    }

    package mutating func isEmpty(at now: MonotonicTime) -> Bool {
        advance(to: now)
        return slices.allSatisfy(\.isEmpty)
    }

    /// Returns the values below which the given shares of the window's observations lie, in seconds; nil for an empty
    /// window.
    package mutating func quantiles(_ shares: [Double], at now: MonotonicTime) -> [Double]? {
        advance(to: now)
        var counts = [UInt64](repeating: 0, count: QuantileBuckets.count)
        for slice in slices {
            for (bucket, count) in slice.enumerated() { counts[bucket] += UInt64(count) }
        }
        let total = counts.reduce(0, +)
        if total == 0 { return nil }
        return shares.map { share in
            let rank = QuantileBuckets.rank(of: share, among: total)
            var cumulative: UInt64 = 0
            for (bucket, count) in counts.enumerated() {
                cumulative += count
                if cumulative >= rank { return QuantileBuckets.middle(of: bucket) }
            }
            return QuantileBuckets.middle(of: QuantileBuckets.count - 1)
        }
    }
}
