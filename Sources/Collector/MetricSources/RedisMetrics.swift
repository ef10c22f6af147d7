import AsynqRedis
import Metrics
import Model

/// The families read from Redis. After a failed scrape only the scrape's own are left.
struct RedisMetrics: MetricSource {
    static let declared = RedisFamilies()

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
        var families = QueueMetrics.families(of: snapshot.queues, labels)
        if let servers = snapshot.servers {
            families += ServerMetrics.consumers(of: snapshot.queues, labels, by: servers)
            families += ServerMetrics.families(of: servers)
        }
        if let entries = snapshot.schedulerEntries { families += ServerMetrics.families(of: entries) }
        families += ServerMetrics.families(of: snapshot.info)
        if let offset = snapshot.clockOffset {
            families.append(
                MetricFamily(declared.clockOffsetSeconds, value: offset.inSeconds))
        }
        return families
    }

    static func families(of status: RedisStatus) -> [MetricFamily] {
        var families = [
            MetricFamily(declared.up, value: status.snapshot == nil ? 0 : 1)
        ]
        if let seconds = status.lastDurationSeconds {
            families.append(
                MetricFamily(declared.scrapeDurationSeconds, value: seconds))
        }
        if let time = status.lastSuccess {
            families.append(
                MetricFamily(declared.lastScrapeTimestampSeconds, value: time.seconds))
        }
        var errors = MetricFamily(declared.scrapeErrorsTotal)
        for reason in ScrapeErrorReason.allCases {
            errors.add(status.errors[reason] ?? 0, LabelSet(["reason": reason.rawValue]))
        }
        return families + [errors]
    }
}

/// What is said of the scrape itself.
struct RedisFamilies: Sendable {
    let clockOffsetSeconds = FamilyDeclaration(
        "asynq_redis_clock_offset_seconds", .gauge,
        """
        Redis' clock minus the collector's; live servers, leases and ages are judged by Redis' clock. Seconds away \
        from 0: set the clocks (NTP), those of workers and clients as well.
        """)
    let up = FamilyDeclaration(
        "asynq_redis_up", .gauge,
        "1 if the last scrape of Redis worked; at 0 the queue metrics are absent.")
    let scrapeDurationSeconds = FamilyDeclaration(
        "asynq_redis_scrape_duration_seconds", .gauge,
        "Time that the last scrape took, connecting included; near redis.timeout the next one fails.")
    let lastScrapeTimestampSeconds = FamilyDeclaration(
        "asynq_redis_last_scrape_timestamp_seconds", .gauge,
        "When the last good scrape was taken, Unix seconds; long ago: Redis can't be read, the errors say why.")
    let scrapeErrorsTotal = FamilyDeclaration(
        "asynq_redis_scrape_errors_total", .counter, labels: ["reason"],
        """
        Scrapes, or parts of one, that failed, by reason; permission: the ACL user lacks a command, timeout: Redis \
        is slow or redis.timeout too short, limit: a documented bound was met.
        """)
}
