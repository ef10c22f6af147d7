/// The upper bounds of a classic histogram's buckets, ascending and finite; `+Inf` is implied. One object serves all
/// series of a family, with the bounds as the text formats write them.
package final class HistogramBounds: Sendable, Equatable {
    package let values: [Double]
    /// What closes a line's labels, `0.5"} `, for each bound and `+Inf`: as the text format 0.0.4 has it here (`10`), and
    /// as OpenMetrics asks (`10.0`).
    let textEdges: Edges
    let openMetricsEdges: Edges

    /// One after the other in one array: arrays of their own would be retained for each line.
    struct Edges: Sendable {
        private(set) var bytes: [UInt8] = []
        private(set) var ends: [Int] = []

        fileprivate init(_ numbers: [String]) {
            for number in numbers {
                bytes += "\(number)\"} ".utf8
                ends.append(bytes.count)
            }
        }
    }

    /// nil unless `values` are finite and strictly ascending.
    package convenience init?(_ values: [Double]) {
        guard values.allSatisfy(\.isFinite), zip(values, values.dropFirst()).allSatisfy(<) else { return nil }
        self.init(checked: values)
    }

    /// For bounds that stand in the source.
    package convenience init(ascending values: Double...) {
        precondition(zip(values, values.dropFirst()).allSatisfy(<), "bounds must ascend")
        self.init(checked: values)
    }

    private init(checked values: [Double]) {
        self.values = values
        textEdges = Edges((values + [.infinity]).map(NumberText.plain))
        openMetricsEdges = Edges((values + [.infinity]).map(NumberText.canonical))
    }

    package static func == (left: HistogramBounds, right: HistogramBounds) -> Bool {
        left === right || left.values == right.values
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
