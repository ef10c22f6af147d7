import Glibc
package import Model

/// Quantiles over a sliding window, in fixed memory: counts in buckets that grow by a twelfth, kept for each sixth of
/// the window.
///
/// ```
/// bucket 0        below 1 µs
/// bucket i        1 µs · growth^(i-1) ..< 1 µs · growth^i        growth = 1.09 = 2^(1/8)
/// bucket 319      all above, from about 10.7 days
/// ```
/// A quantile is the geometric middle of its bucket, so its error is at most √growth − 1 = 4.4 %; 0 for the first bucket, about
/// 11 days for the last one. A slice takes 1,280 bytes once something was observed in it, a window at most 7,680.
package struct QuantileWindow: Sendable {
    static let sliceCount = 6
    private static let bucketCount = 320
    private static let smallest = 1e-6
    private static let stepsPerDoubling = 8.0

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
        if slices[index].isEmpty { slices[index] = [UInt32](repeating: 0, count: Self.bucketCount) }
        slices[index][Self.bucket(of: seconds)] &+= 1
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
        var counts = [UInt64](repeating: 0, count: Self.bucketCount)
        for slice in slices {
            for (bucket, count) in slice.enumerated() { counts[bucket] += UInt64(count) }
        }
        let total = counts.reduce(0, +)
        if total == 0 { return nil }
        return shares.map { share in
            // The nearest rank is that of the smallest value with at least that share of the observations at or below
            // it.
            let rank = max(1, UInt64((share * Double(total)).rounded(.up)))
            var cumulative: UInt64 = 0
            for (bucket, count) in counts.enumerated() {
                cumulative += count
                if cumulative >= rank { return Self.middle(of: bucket) }
            }
            return Self.middle(of: Self.bucketCount - 1)
        }
    }

    private static func bucket(of seconds: Double) -> Int {
        if seconds < smallest { return 0 }
        let steps = (log2(seconds / smallest) * stepsPerDoubling).rounded(.down)
        return Int(min(steps, Double(bucketCount - 2))) + 1
    }

    private static func middle(of bucket: Int) -> Double {
        bucket == 0 ? 0 : smallest * exp2((Double(bucket) - 0.5) / stepsPerDoubling)
    }
}
