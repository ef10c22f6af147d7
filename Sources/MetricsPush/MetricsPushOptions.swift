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
    /// The size, before compression, above which a request is not sent.
    package var maxRequestBytes = 64 << 20

    package init(
        _ backend: OTLPBackend, interval: Duration, temporality: OTLPMetrics.Temporality,
        histograms: OTLPMetrics.HistogramForm, attributes: [(name: String, value: String)]
    ) {
        self.backend = backend
        self.interval = interval
        self.temporality = temporality
        self.histograms = histograms
        self.attributes = attributes
    }
}
