package import Metrics
package import OTLPClient

/// The destination of pushed metrics, and their form.
package struct MetricsPushOptions: Sendable {
    package var backend: OTLPBackend
    /// The time between two pushes.
    package var interval: Duration
    package var temporality: OTLPMetrics.Temporality
    package var histograms: OTLPMetrics.HistogramForm
    /// The attributes of the resource that were configured, beside those that the collector knows itself.
    package var attributes: [(name: String, value: String)]
    package var budget: PushBudget

    package init(
        _ backend: OTLPBackend, interval: Duration, temporality: OTLPMetrics.Temporality,
        histograms: OTLPMetrics.HistogramForm, attributes: [(name: String, value: String)], memoryBytes: Int
    ) {
        self.backend = backend
        self.interval = interval
        self.temporality = temporality
        self.histograms = histograms
        self.attributes = attributes
        budget = PushBudget(memoryBytes, temporality)
    }
}

/// The parts of the memory for pushes.
///
/// ```
/// delta         three quarters for the numbers that the backend has acknowledged, a quarter for one request
/// cumulative    all of it for one request
/// request       1 MiB for a piece, the compressor and libcurl's buffer; half of the rest for the body, which is copied
/// ```
package struct PushBudget: Sendable {
    private static let fixedBytes = 1 << 20
    private static let leastBodyBytes = 64 << 10

    /// The size of a body at which a request ends.
    let bodyBytes: Int
    /// The bytes for the numbers that the backend has acknowledged.
    let seriesBytes: Int

    package init(_ bytes: Int, _ temporality: OTLPMetrics.Temporality) {
        let request = temporality == .delta ? bytes / 4 : bytes
        seriesBytes = bytes - request
        bodyBytes = max(Self.leastBodyBytes, (request - Self.fixedBytes) / 2)
    }
}
