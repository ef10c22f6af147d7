package import Metrics
package import OTLPClient

/// Where metrics are pushed to, and in which form.
package struct MetricsPushOptions: Sendable {
    package var backend: OTLPBackend
    /// Between two pushes.
    package var interval: Duration
    package var temporality: OTLPMetrics.Temporality
    package var histograms: OTLPMetrics.HistogramForm
    /// Attributes of the resource that were given, beside those that the collector knows itself.
    package var attributes: [(name: String, value: String)]
    /// A larger request, before compression, is not sent.
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
