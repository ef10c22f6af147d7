package import Model

/// Writes families as an `ExportMetricsServiceRequest` (`OTLPRequestWriter`).
///
/// ```
/// ExportMetricsServiceRequest   resource_metrics 1
/// ResourceMetrics               resource 1 { attributes 1 }   scope_metrics 2
/// ScopeMetrics                  scope 1 { name 1   version 2 }   metrics 2
/// Metric                        name 1   description 2   unit 3   and what it measures (`OTLPMetric`)
/// ```
/// Names and units are such that the translation of Prometheus gives the names of the page:
///
/// ```
/// page                            name                        unit   data
/// asynq_queue_size                asynq_queue_size                   gauge
/// asynq_tasks_processed_total     asynq_tasks_processed              monotonic sum
/// process_cpu_seconds_total       process_cpu                 s      monotonic sum
/// asynq_collector_spool_bytes     asynq_collector_spool       By     gauge
/// asynq_queue_archive_fill_ratio  asynq_queue_archive_fill    1      gauge
/// asynq_task_wait_duration_seconds  asynq_task_wait_duration  s      exponential histogram, or an explicit one, or both
/// ```
/// Sources: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.3.2/opentelemetry/proto/metrics/v1/metrics.proto and
/// https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus
package struct OTLPMetrics {
    /// The interval that a number of a counter or histogram covers.
    package enum Temporality: UInt8, Sendable {
        /// The numbers since the acknowledged push before.
        case delta = 1
        /// The numbers since the start of the process.
        case cumulative = 2
    }

    /// The buckets with which histograms are sent.
    package enum HistogramForm: Sendable {
        /// The native buckets of the page, for a histogram that has these.
        case exponential
        /// The classic buckets of the page.
        case explicit
        /// The two kinds of buckets, as two metrics of one name.
        case both

        var data: [OTLPMetric.Data] {
            switch self {
            case .exponential: [.exponentialHistogram]
            case .explicit: [.histogram]
            case .both: [.histogram, .exponentialHistogram]
            }
        }
    }

    /// The origin of the numbers: attributes of the resource, and the scope.
    package struct Source: Sendable {
        package var attributes: [(name: String, value: String)]
        package var scope: String
        package var version: String

        package init(attributes: [(name: String, value: String)], scope: String, version: String) {
            self.attributes = attributes
            self.scope = scope
            self.version = version
        }
    }

    /// The interval that numbers cover.
    package struct Interval: Sendable {
        package var start: WallTime
        package var end: WallTime

        package init(start: WallTime, end: WallTime) {
            // A clock that was set back must not turn the interval round.
            self.start = min(start, end)
            self.end = end
        }
    }

    package var temporality: Temporality
    package var histograms: HistogramForm
    package var interval: Interval
    /// The time since which exemplars are sent, because older ones have been sent before; nil to send all.
    package var exemplarsSince: WallTime?

    package init(
        _ temporality: Temporality, _ histograms: HistogramForm, interval: Interval, exemplarsSince: WallTime? = nil
    ) {
        self.temporality = temporality
        self.histograms = histograms
        self.interval = interval
        self.exemplarsSince = exemplarsSince
    }

    /// Returns the kinds of points that a family is written as.
    func data(of family: MetricFamily) -> [OTLPMetric.Data] {
        switch family.kind {
        case .counter: [.sum]
        case .gauge, .info: [.gauge]
        case .histogram: histograms.data
        }
    }
}

extension MetricFamily {
    /// The name without the ending that the translation of Prometheus adds, and the unit in the notation of UCUM.
    var otlpName: (name: Substring, unit: String) {
        var name = name[...]
        if kind == .counter && name.hasSuffix("_total") { name = name.dropLast("_total".count) }
        guard let unit else { return (name, "") }
        let symbols = ["seconds": "s", "bytes": "By", "ratio": "1"]
        return (name.dropLast(unit.count + 1), symbols[unit] ?? "")
    }
}
