import AsynqRedis
import Metrics
import Model

/// The families read from Redis. After a failed scrape only the scrape's own are left.
struct RedisMetrics: MetricSource {
    let monitor: RedisMonitor

    func metricFamilies() -> [MetricFamily] {
        let status = monitor.current
        return (status.snapshot.map { Self.families(of: $0) } ?? []) + Self.families(of: status)
    }

    static func families(of snapshot: RedisSnapshot) -> [MetricFamily] {
        var size = MetricFamily(
            "asynq_queue_size", .gauge, "Tasks in the queue by state; pending rising means that workers do not keep up.")
        var groups = MetricFamily("asynq_queue_groups", .gauge, "Aggregation groups of the queue.")
        var latency = MetricFamily(
            "asynq_queue_latency_seconds", .gauge,
            "Age of the next task to be dequeued, as Asynq computes it; 0 for an empty queue.")
        var paused = MetricFamily("asynq_queue_paused", .gauge, "1 while the queue is paused: no task of it is started.")
        var processed = MetricFamily(
            "asynq_tasks_processed_total", .counter,
            "Attempts that workers finished, by outcome; one task that fails n times counts n times as failed.")
        for queue in snapshot.queues {
            let name = ("queue", queue.name)
            for state in TaskState.allCases {
                if let count = queue.size[state] { size.add(count, LabelSet([name, ("state", ForeignText(state.rawValue))])) }
            }
            if let count = queue.groups { groups.add(count, LabelSet([name])) }
            if let nanoseconds = queue.latencyNanoseconds { latency.add(Double(nanoseconds) / 1e9, LabelSet([name])) }
            if let isPaused = queue.isPaused { paused.add(isPaused ? 1 : 0, LabelSet([name])) }
            if let total = queue.processed, let failed = queue.failed {
                // Redis may be read between the two increments of one failure.
                processed.add(max(0, total - failed), LabelSet([name, ("status", ForeignText("completed"))]))
                processed.add(failed, LabelSet([name, ("status", ForeignText("failed"))]))
            }
        }
        return [size, groups, latency, paused, processed]
    }

    static func families(of status: RedisStatus) -> [MetricFamily] {
        var families = [
            MetricFamily(
                "asynq_redis_up", .gauge, "1 if the last scrape of Redis worked; at 0 the queue metrics are absent.",
                value: status.snapshot == nil ? 0 : 1)
        ]
        if let seconds = status.lastDurationSeconds {
            families.append(
                MetricFamily(
                    "asynq_redis_scrape_duration_seconds", .gauge, "Time that the last scrape took, connecting included.",
                    value: seconds))
        }
        if let time = status.lastSuccess {
            families.append(
                MetricFamily(
                    "asynq_redis_last_scrape_timestamp_seconds", .gauge, "When the last good scrape was taken.",
                    value: time.seconds))
        }
        var errors = MetricFamily(
            "asynq_redis_scrape_errors_total", .counter, "Scrapes, or parts of one, that failed, by reason.")
        for reason in ScrapeErrorReason.allCases {
            errors.add(status.errors[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        return families + [errors]
    }
}
