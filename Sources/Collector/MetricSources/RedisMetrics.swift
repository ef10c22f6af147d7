import AsynqRedis
import Metrics
import Model

/// The families read from Redis. After a failed scrape only the scrape's own are left.
struct RedisMetrics: MetricSource {
    let monitor: RedisMonitor
    /// `metrics.asynqmon-names`
    let hasAsynqmonNames: Bool
    private let labels = QueueLabelSets.Cache()

    init(monitor: RedisMonitor, hasAsynqmonNames: Bool) {
        self.monitor = monitor
        self.hasAsynqmonNames = hasAsynqmonNames
    }

    func metricFamilies() -> [MetricFamily] {
        let status = monitor.current
        let read = status.snapshot.map { snapshot in
            let labels = labels.labels(of: snapshot.queues)
            return Self.families(of: snapshot, labels)
                + (hasAsynqmonNames ? AsynqmonMetrics.families(of: snapshot, labels) : [])
        }
        return (read ?? []) + Self.families(of: status)
    }

    static func families(of snapshot: RedisSnapshot) -> [MetricFamily] {
        families(of: snapshot, snapshot.queues.map { QueueLabelSets($0.name) })
    }

    private static func families(of snapshot: RedisSnapshot, _ labels: [QueueLabelSets]) -> [MetricFamily] {
        var families = queueFamilies(of: snapshot.queues, labels)
        if let servers = snapshot.servers {
            families += ServerMetrics.consumers(of: snapshot.queues, labels, by: servers)
            families += ServerMetrics.families(of: servers)
        }
        if let entries = snapshot.schedulerEntries { families += ServerMetrics.families(of: entries) }
        families += ServerMetrics.families(of: snapshot.info)
        if let offset = snapshot.clockOffset {
            families.append(
                MetricFamily(
                    "asynq_redis_clock_offset_seconds", .gauge,
                    "Redis' clock minus the collector's; live servers, leases and ages are judged by Redis' clock. Seconds away from "
                        + "0: set the clocks (NTP), those of workers and clients as well.",
                    value: offset.inSeconds))
        }
        return families
    }

    private static func queueFamilies(of queues: [QueueSnapshot], _ labels: [QueueLabelSets]) -> [MetricFamily] {
        var size = MetricFamily(
            "asynq_queue_size", .gauge, "Tasks in the queue by state; pending rising means that workers do not keep up."
        )
        var groups = MetricFamily(
            "asynq_queue_groups", .gauge, "Aggregation groups of the queue; rising for long: are they ever aggregated?")
        var latency = MetricFamily(
            "asynq_queue_latency_seconds", .gauge,
            "Age of the next task to be dequeued, as Asynq computes it, 0 for an empty queue; what a task that comes now has to "
                + "expect at least.")
        var paused = MetricFamily(
            "asynq_queue_paused", .gauge, "1 while the queue is paused: no task of it is started.")
        var orphaned = MetricFamily(
            "asynq_queue_orphaned_tasks", .gauge,
            "Active tasks whose lease has expired: their worker died; a server of the queue recovers them within minutes."
        )
        var longestRunning = MetricFamily(
            "asynq_queue_longest_running_seconds", .gauge,
            "How long the task that runs longest has been running, absent where none runs; rising beyond what a task may take: it "
                + "hangs, and holds its worker.")
        var overdue = MetricFamily(
            "asynq_queue_overdue_tasks", .gauge,
            "Scheduled and retry tasks whose time has passed; staying above 0: no server forwards them.")
        var memory = MetricFamily(
            "asynq_queue_memory_usage_approx_bytes", .gauge,
            "Memory that the queue takes in Redis, estimated from samples of its tasks as Asynq does it: who fills Redis?"
        )
        var processed = MetricFamily(
            "asynq_tasks_processed_total", .counter,
            "Attempts that workers finished, by outcome; one task that fails n times counts n times as failed. Stands still after a "
                + "failover to a replica that lagged.")
        var dead = MetricFamily(
            "asynq_tasks_dead_lettered_total", .counter,
            "Tasks seen to enter the archive since the start of this process, whatever was trimmed from it since: each one needs "
                + "somebody to look at it.")
        var registered = MetricFamily(
            "asynq_queue_registered", .gauge,
            "1 if asynq:queues has the queue, 0 if only live servers name it: Asynq's own tools do not see it; with tasks in it, "
                + "restart the programs that enqueue.")
        var fill = MetricFamily(
            "asynq_queue_archive_fill_ratio", .gauge,
            "Archived tasks of the 10,000 that Asynq keeps; at 1 each dead letter pushes an older one out.")
        for (queue, labels) in zip(queues, labels) {
            labels.forEachState { state, labels in
                if let count = queue.size[state] { size.add(count, labels) }
                if let count = queue.overdue[state] { overdue.add(count, labels) }
            }
            if let count = queue.groups { groups.add(count, labels.queue) }
            if let nanoseconds = queue.latencyNanoseconds { latency.add(Double(nanoseconds) / 1e9, labels.queue) }
            if let isRegistered = queue.isRegistered { registered.add(isRegistered ? 1 : 0, labels.queue) }
            if let isPaused = queue.isPaused { paused.add(isPaused ? 1 : 0, labels.queue) }
            if let count = queue.orphaned { orphaned.add(count, labels.queue) }
            if let time = queue.longestRunning { longestRunning.add(time.inSeconds, labels.queue) }
            if let bytes = queue.memoryBytes { memory.add(bytes, labels.queue) }
            if let count = queue.deadLettered { dead.add(count, labels.queue) }
            if let count = queue.size[.archived] { fill.add(Double(count) / 10_000, labels.queue) }
            if let completed = queue.completed, let failed = queue.failed {
                processed.add(completed, labels.completed)
                processed.add(failed, labels.failed)
            }
        }
        return [
            size, groups, latency, paused, registered, orphaned, longestRunning, overdue, memory, processed, dead, fill,
        ]
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
                    "asynq_redis_scrape_duration_seconds", .gauge,
                    "Time that the last scrape took, connecting included; near redis.timeout the next one fails.",
                    value: seconds))
        }
        if let time = status.lastSuccess {
            families.append(
                MetricFamily(
                    "asynq_redis_last_scrape_timestamp_seconds", .gauge,
                    "When the last good scrape was taken, Unix seconds; long ago: Redis can't be read, the errors say why.",
                    value: time.seconds))
        }
        var errors = MetricFamily(
            "asynq_redis_scrape_errors_total", .counter,
            "Scrapes, or parts of one, that failed, by reason; permission: the ACL user lacks a command, timeout: Redis is slow "
                + "or redis.timeout too short, limit: a documented bound was met.")
        for reason in ScrapeErrorReason.allCases {
            errors.add(status.errors[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        return families + [errors]
    }
}
