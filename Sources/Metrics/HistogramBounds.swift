import Text

/// The upper bounds of a classic histogram's buckets, ascending and finite; `+Inf` is implied. One object serves all
/// series of a family, with the bounds as the text formats write them.
package final class HistogramBounds: Sendable, Equatable {
    package let values: [Double]
    /// The text that closes a line's labels, `0.5"} `, for each bound and `+Inf`: as the text format 0.0.4 has it here
    /// (`10`), and as OpenMetrics asks (`10.0`).
    let textEdges: [ShortText]
    let openMetricsEdges: [ShortText]
    /// The bucket that stays on the page however many are left out: that of the wait objective, else one in the middle.
    private let anchor: Int

    /// The wait objective of the rules, in seconds.
    private static let objectiveSeconds = 10.0

    /// Makes bounds of `values`; returns nil unless these are finite and strictly ascending.
    package convenience init?(_ values: [Double]) {
        guard values.allSatisfy(\.isFinite), zip(values, values.dropFirst()).allSatisfy(<) else { return nil }
        self.init(checked: values)
    }

    /// Makes bounds that stand in the source.
    package convenience init(ascending values: Double...) {
        precondition(zip(values, values.dropFirst()).allSatisfy(<), "bounds must ascend")
        self.init(checked: values)
    }

    private init(checked values: [Double]) {
        self.values = values
        textEdges = (values + [.infinity]).map { ShortText("\(NumberText.plain($0))\"} ") }
        openMetricsEdges = (values + [.infinity]).map { ShortText("\(NumberText.canonical($0))\"} ") }
        anchor = values.firstIndex(of: Self.objectiveSeconds) ?? values.count / 2
    }

    package static func == (left: HistogramBounds, right: HistogramBounds) -> Bool {
        left === right || left.values == right.values
    }

    /// Returns the bucket of `value`: the first whose bound is not below it; `values.count` stands for `+Inf`.
    func index(of value: Double) -> Int {
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Fewer buckets on a page

    /// Returns true if a bucket is on a page that has each `step`th one. Buckets are cumulative there, so those that
    /// stay are right without the others.
    @inline(__always)
    func keeps(_ bucket: Int, step: Int) -> Bool {
        step == 1 || bucket == values.count || (bucket - anchor) % step == 0
    }

    /// Returns the number of series of one histogram on such a page: its buckets, the sum and the count.
    package func seriesCount(step: Int) -> Int {
        (step == 1 ? values.count + 1 : (0...values.count).count { keeps($0, step: step) }) + 2
    }
}
