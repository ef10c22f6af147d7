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
        var orphaned = MetricFamily(
            "asynq_queue_orphaned_tasks", .gauge,
            "Active tasks whose lease has expired: their worker died; a server of the queue recovers them within minutes.")
        var overdue = MetricFamily(
            "asynq_queue_overdue_tasks", .gauge,
            "Scheduled and retry tasks whose time has passed; staying above 0: no server forwards them.")
        var dead = MetricFamily(
            "asynq_tasks_dead_lettered_total", .counter,
            "Tasks seen to enter the archive since the start of this process, whatever was trimmed from it since.")
        var fill = MetricFamily(
            "asynq_queue_archive_fill_ratio", .gauge,
            "Archived tasks of the 10,000 that Asynq keeps; at 1 each dead letter pushes an older one out.")
        var memory = MetricFamily(
            "asynq_queue_memory_usage_approx_bytes", .gauge,
            "Memory that the queue takes in Redis, estimated from samples of its tasks as Asynq does it.")
        for queue in snapshot.queues {
            let name = ("queue", queue.name)
            for state in TaskState.allCases {
                if let count = queue.size[state] { size.add(count, LabelSet([name, ("state", ForeignText(state.rawValue))])) }
            }
            if let count = queue.groups { groups.add(count, LabelSet([name])) }
            if let nanoseconds = queue.latencyNanoseconds { latency.add(Double(nanoseconds) / 1e9, LabelSet([name])) }
            if let isPaused = queue.isPaused { paused.add(isPaused ? 1 : 0, LabelSet([name])) }
            let labels = LabelSet([name])
            if let count = queue.orphaned { orphaned.add(count, labels) }
            for state in [TaskState.scheduled, .retry] {
                if let count = queue.overdue[state] {
                    overdue.add(count, LabelSet([name, ("state", ForeignText(state.rawValue))]))
                }
            }
            if let bytes = queue.memoryBytes { memory.add(bytes, labels) }
            if let count = queue.deadLettered { dead.add(count, labels) }
            if let count = queue.size[.archived] { fill.add(Double(count) / 10_000, labels) }
            if let completed = queue.completed, let failed = queue.failed {
                processed.add(completed, LabelSet([name, ("status", ForeignText("completed"))]))
                processed.add(failed, LabelSet([name, ("status", ForeignText("failed"))]))
            }
        }
        var families = [size, groups, latency, paused, orphaned, overdue, memory, processed, dead, fill]
        if let servers = snapshot.servers {
            families += ServerMetrics.consumers(of: snapshot.queues, by: servers) + ServerMetrics.families(of: servers)
        }
        if let entries = snapshot.schedulerEntries { families += ServerMetrics.families(of: entries) }
        return families + ServerMetrics.families(of: snapshot.info)
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
