private import CLinux

/// The kind of a family. The name of a counter includes its `_total`, that of an info its `_info`.
package enum MetricKind: String, Sendable {
    case counter, gauge, histogram
    /// Facts in labels, with the value 1. It is a kind of its own in OpenMetrics, a gauge elsewhere.
    case info
}

/// The value of one series on one page.
package enum MetricValue: Sendable {
    case number(Double)
    case histogram(Histogram)
}

/// One series of a family, at the moment of the page.
package struct MetricSample: Sendable {
    package let labels: LabelSet
    package let value: MetricValue

    /// Returns the number of its lines in the text formats.
    func seriesCount(bucketStep: Int) -> Int {
        switch value {
        case .number: 1
        case .histogram(let histogram): histogram.bounds.seriesCount(step: bucketStep)
        }
    }

    /// Prefetches the sample. It is called some time before the sample is written, because a page's samples lie all
    /// over the memory, in no cache.
    @inline(__always)
    func prefetch() {
        let labelBytes = 192
        labels.shared.withUnsafeBytes { collector_prefetch($0.baseAddress, labelBytes) }
        if case .histogram(let histogram) = value { histogram.prefetch() }
    }
}

/// A family of series, as it goes on a page.
package struct MetricFamily: Sendable {
    package let name: String
    package let kind: MetricKind
    /// One line for the operator who reads it: what it says, and what to do with it.
    package let help: String
    package let countsFrom: CountOrigin
    /// True for names that only the text format 0.0.4 allows; other formats leave the family out.
    package var isTextOnly = false
    package var samples: [MetricSample] = []
    /// The step of the classic buckets on the page: 2 leaves each second one (`HistogramBounds.keeps`).
    package var bucketStep = 1

    package init(_ declaration: FamilyDeclaration) {
        name = declaration.name
        kind = declaration.kind
        help = declaration.help
        countsFrom = declaration.countsFrom
    }

    package init(_ declaration: FamilyDeclaration, value: Double) {
        self.init(declaration)
        add(value)
    }

    package mutating func add(_ value: Double, _ labels: LabelSet = .none) {
        samples.append(MetricSample(labels: labels, value: .number(value)))
    }

    /// The base unit that the name ends in, where it has one.
    package var unit: String? {
        let name = kind == .counter && name.hasSuffix("_total") ? name.dropLast("_total".count) : name[...]
        return ["seconds", "bytes", "ratio"].first { name.hasSuffix("_" + $0) }
    }

    /// True if a label is called `quantile`. Some exporters call such a gauge a summary, and linters of the text format
    /// insist on it.
    var hasQuantileLabel: Bool { samples.first?.labels.names.contains("quantile") ?? false }

    package mutating func add(_ value: some BinaryInteger, _ labels: LabelSet = .none) {
        add(Double(value), labels)
    }

    package mutating func add(_ histogram: Histogram, _ labels: LabelSet = .none) {
        samples.append(MetricSample(labels: labels, value: .histogram(histogram)))
    }
}
