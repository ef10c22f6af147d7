/// A source of numbers for the page. It is called on the thread that renders, and takes its own lock, briefly.
package protocol MetricSource: Sendable {
    /// Returns the families in the order in which they stand on the page. A family without samples is left out.
    func metricFamilies() -> [MetricFamily]

    /// Returns the families a few samples at a time, each read when the page gets there: a slow reader holds none of
    /// them. One family may come as several that follow each other.
    func portions() -> FamilyPortions
}

package typealias FamilyPortions = AnyIterator<[MetricFamily]>

extension MetricSource {
    package func portions() -> FamilyPortions {
        AnyIterator(CollectionOfOne(self).lazy.map { $0.metricFamilies() }.makeIterator())
    }
}

/// All sources, in the order of the page.
package struct MetricsRegistry: Sendable {
    private static let declared = PageFamilies()

    package static let declarations = FamilyDeclaration.all(in: declared)

    private let sources: [any MetricSource]

    package init(_ sources: [any MetricSource]) {
        self.sources = sources
    }

    /// The content of the page, each chunk with its numbers at the moment when it is read.
    package var chunks: FamilyChunks { FamilyChunks(sources.lazy.map { $0.portions() }) }

    /// Returns a page that begins now.
    package func page(_ format: PageFormat) -> PageReader {
        PageReader(sources.lazy.map { $0.portions() }, format)
    }

    /// Returns the family that says how many series there are, itself included.
    static func size(seriesCount: Int) -> MetricFamily {
        MetricFamily(declared.pageSeries, value: Double(seriesCount + 1))
    }
}

/// The family about the page itself.
struct PageFamilies: Sendable {
    let pageSeries = FamilyDeclaration(
        "asynq_collector_page_series", .gauge,
        """
        Series on this page, which each Prometheus that scrapes it stores. If there are too many, use fewer task types \
        (metrics.task-types) or buckets (metrics.wait-buckets, metrics.run-time-buckets).
        """)
}
