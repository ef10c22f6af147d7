package import Metrics
package import Model

extension TaskAggregator {
    /// The families computed from spans, in the order of the page.
    package mutating func metricFamilies(at now: MonotonicTime) -> [MetricFamily] {
        var wait = MetricFamily(
            "asynq_task_wait_duration_seconds", .histogram,
            "Time from ready to run until a worker started the task (first attempts, and retries with an exact source); "
                + "rising means too few workers.")
        var processing = MetricFamily(
            "asynq_task_processing_duration_seconds", .histogram,
            "Run time of one attempt, by its outcome.")
        var attempts = MetricFamily(
            "asynq_task_attempts_total", .counter, "Attempts that workers reported by a process span.")
        var unknown = MetricFamily(
            "asynq_task_wait_unknown_total", .counter,
            "Attempts whose wait is not known, by reason: give the spans an enqueue stamp where no_source grows.")
        for queue in queues + (overflowQueue.map { [$0] } ?? []) {
            for series in queue.series + (queue.other.map { [$0] } ?? []) {
                wait.add(series.wait.snapshot, series.waitLabels)
                series.addProcessing(to: &processing)
                series.addAttempts(to: &attempts)
            }
            for (reason, count) in zip(UnknownWaitReason.allCases, queue.unknownWaits) {
                unknown.add(count, LabelSet([("queue", queue.name), ("reason", ForeignText(reason.rawValue))]))
            }
        }
        var quantile = MetricFamily(
            "asynq_task_wait_quantile_seconds", .gauge,
            "Quantile of the wait over the sliding window, at most 5 % off; for a look and for autoscaling, "
                + "alert on the histogram.")
        for (queue, seconds) in waitQuantilesByQueue(at: now) {
            for (share, value) in zip(waitQuantiles, seconds) {
                quantile.add(value, LabelSet([("queue", queue), ("quantile", ForeignText(share.description))]))
            }
        }
        return [wait, quantile, processing, attempts, unknown]
    }
}
