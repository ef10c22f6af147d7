import Metrics
import MetricsPush
import Model

/// The families of the pushes of metrics.
struct PushMetrics: MetricSource {
    static let families = PushFamilies()

    private let counters: PushCounters
    private let interval: Duration

    /// - Parameter interval: The time between two pushes.
    init(_ counters: PushCounters, interval: Duration) {
        self.counters = counters
        self.interval = interval
    }

    /// Makes the source; returns nil where nothing is pushed.
    init?(_ counters: PushCounters?, _ options: MetricsPushOptions?) {
        guard let counters, let options else { return nil }
        self.init(counters, interval: options.interval)
    }

    func metricFamilies() -> [MetricFamily] {
        let statistics = counters.statistics
        var requests = MetricFamily(Self.families.pushRequestsTotal)
        for (code, count) in statistics.requests.sorted(by: { $0.key < $1.key }) {
            requests.add(count, LabelSet(["code": code]))
        }
        var duration = MetricFamily(Self.families.pushDurationSeconds)
        duration.add(statistics.durations)
        var lastSuccess = MetricFamily(Self.families.pushLastSuccessTimestampSeconds)
        if let time = statistics.lastSuccess { lastSuccess.add(Double(time.nanoseconds) / 1e9) }
        let between = MetricFamily(Self.families.pushIntervalSeconds, value: interval.inSeconds)
        var rejected = MetricFamily(Self.families.pushRejectedPointsTotal)
        rejected.add(statistics.rejectedPoints)
        return [requests, duration, lastSuccess, between, rejected]
    }
}

/// The families of pushes.
struct PushFamilies: Sendable {
    let pushRequestsTotal = FamilyDeclaration(
        "asynq_collector_push_requests_total", .counter, labels: ["code"], with: "metrics.push.endpoint",
        """
        Pushes of metrics, by HTTP status, or by what broke the connection; page: a 2xx that accepts nothing. After \
        anything but 2xx the backend has old numbers, and the log says what to change.
        """)
    let pushDurationSeconds = FamilyDeclaration(
        "asynq_collector_push_duration_seconds", .histogram, with: "metrics.push.endpoint",
        "Time from sending a push of metrics to its answer. Near metrics.push.timeout, pushes fail.")
    let pushLastSuccessTimestampSeconds = FamilyDeclaration(
        "asynq_collector_push_last_success_timestamp_seconds", .gauge, with: "metrics.push.endpoint",
        """
        When the last push was made of which all was accepted, Unix seconds; absent before the first. If it is long \
        ago, the backend has old numbers, or lacks some.
        """)
    let pushIntervalSeconds = FamilyDeclaration(
        "asynq_collector_push_interval_seconds", .gauge, with: "metrics.push.endpoint",
        "Time between two pushes of metrics (metrics.push.interval), for rules about the age of the last one.")
    let pushRejectedPointsTotal = FamilyDeclaration(
        "asynq_collector_push_rejected_points_total", .counter, with: "metrics.push.endpoint",
        "Data points that the backend left out of pushes that it accepted; its reason is in the log.")
}
