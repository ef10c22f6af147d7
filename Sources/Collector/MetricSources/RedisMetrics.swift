import AsynqRedis
import Metrics
import Model

/// The families read from Redis. After a failed scrape only the scrape's own are left.
struct RedisMetrics: MetricSource {
    static let declared = RedisFamilies()

    let views: RedisViews

    func metricFamilies() -> [MetricFamily] {
        let (status, view) = views.current
        return (view.map { $0.queueFamilies + $0.smallFamilies } ?? []) + Self.families(of: status)
    }

    func portions() -> FamilyPortions {
        var index = 0
        var last: QueueName?
        return AnyIterator {
            if index > QueueMetrics.families.count { return nil }
            let (status, view) = views.current
            guard let view, index < QueueMetrics.families.count else {
                index = .max
                return (view?.smallFamilies ?? []) + Self.families(of: status)
            }
            var family: [MetricFamily] = []
            last = view.forPortion(behind: last) { family = [view.samples(ofFamily: index, $0)] }
            if last == nil { index += 1 }
            return family
        }
    }

    /// Returns the families of a single scrape.
    static func families(of snapshot: RedisSnapshot, hasAsynqmonNames: Bool = false) -> [MetricFamily] {
        let labels = snapshot.queues.map { QueueLabelSets($0.name) }
        let view = RedisView(snapshot, labels, hasAsynqmonNames: hasAsynqmonNames)
        return view.queueFamilies + view.smallFamilies
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

/// The families about the scrape itself.
struct RedisFamilies: Sendable {
    let clockOffsetSeconds = FamilyDeclaration(
        "asynq_redis_clock_offset_seconds", .gauge,
        """
        Redis' clock minus the collector's. Live servers, leases and ages are judged by Redis' clock. If it is seconds \
        from 0, set all clocks (NTP), those of workers and clients included.
        """)
    let unlabeledNames = FamilyDeclaration(
        "asynq_redis_unlabeled_names", .gauge, labels: ["label"],
        """
        Queues, servers and cron entries in Redis without series of their own: the memory for labels is used up, or \
        names look alike once cut to 256 bytes. Queues and servers count under _other.
        """)
    let up = FamilyDeclaration(
        "asynq_redis_up", .gauge,
        "1 if the last scrape of Redis succeeded. At 0, the queue metrics are absent.")
    let scrapeDurationSeconds = FamilyDeclaration(
        "asynq_redis_scrape_duration_seconds", .gauge,
        "Time that the last scrape took, connecting included. Near redis.timeout, the next one fails.")
    let lastScrapeTimestampSeconds = FamilyDeclaration(
        "asynq_redis_last_scrape_timestamp_seconds", .gauge,
        """
        When the last successful scrape was taken, Unix seconds. If it is long ago, Redis can't be read, and the \
        errors say why.
        """)
    let scrapeErrorsTotal = FamilyDeclaration(
        "asynq_redis_scrape_errors_total", .counter, labels: ["reason"],
        """
        Scrapes, or parts of one, that failed, by reason. permission: the ACL user lacks a command. timeout: Redis is \
        slow, or redis.timeout too short. limit: a documented bound was met.
        """)
}
