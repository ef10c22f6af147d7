/// The upper bounds of a classic histogram's buckets, ascending and finite; `+Inf` is implied. One object serves all
/// series of a family, with the bounds as the text formats write them.
package final class HistogramBounds: Sendable, Equatable {
    package let values: [Double]
    /// What closes a line's labels, `0.5"} `, for each bound and `+Inf`: as the text format 0.0.4 has it here (`10`), and
    /// as OpenMetrics asks (`10.0`).
    let textEdges: [Edge]
    let openMetricsEdges: [Edge]

    /// In a place of fixed size, so that it is copied by a store or two: a number has 24 characters at most.
    struct Edge: Sendable {
        let text: SIMD32<UInt8>
        let count: Int

        init(_ number: String) {
            let bytes = Array("\(number)\"} ".utf8)
            var text = SIMD32<UInt8>()
            for (index, byte) in bytes.enumerated() { text[index] = byte }
            self.text = text
            count = bytes.count
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
        textEdges = (values + [.infinity]).map { Edge(NumberText.plain($0)) }
        openMetricsEdges = (values + [.infinity]).map { Edge(NumberText.canonical($0)) }
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
