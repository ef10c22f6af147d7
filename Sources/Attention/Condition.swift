/// The grades of a trouble, the worst last.
package enum Severity: String, CaseIterable, Comparable, Sendable {
    case info, warning, critical

    package static func < (left: Severity, right: Severity) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }

    /// The severity of something that does not last long enough yet.
    var lower: Severity { self == .critical ? .warning : .info }
}

/// The subject of a trouble.
package enum Subject: String, Sendable {
    case queue, redis, tempo, spool, server, cron
    /// The collector's work beside spans and Redis.
    case collector
}

/// The conditions that one collector can judge: the shipped alerts (prometheus/rules/asynq-alerts.yml) under their
/// names, and six more. Of troubles that are equally bad, those of the condition that stands first here come first.
package enum Condition: String, CaseIterable, Sendable {
    case redisUnreachable = "AsynqRedisUnreachable"
    case redisEvictingKeys = "AsynqRedisEvictingKeys"
    case redisMemoryNearLimit = "AsynqRedisMemoryNearLimit"
    case scrapeStale = "AsynqScrapeStale"
    case spoolStalled = "SpoolStalled"
    case spansNotAccepted = "AsynqSpansNotAccepted"
    case spansDropped = "AsynqSpansDropped"
    case serversUnreadable = "ServersUnreadable"
    case queueWithoutConsumers = "AsynqQueueWithoutConsumers"
    case queueUnreadable = "QueueUnreadable"
    case queueStalled = "AsynqQueueStalled"
    case overdueTasks = "AsynqOverdueTasks"
    case oldestPendingTooOld = "AsynqOldestPendingTooOld"
    case waitBudgetBurningFast = "AsynqWaitBudgetBurningFast"
    case schedulerEntryOverdue = "AsynqSchedulerEntryOverdue"
    case forwardingFails = "AsynqForwardingFails"
    case spoolFilling = "AsynqSpoolFilling"
    case spoolWillBeFull = "AsynqSpoolWillBeFull"
    case spansRefusedByTempo = "AsynqSpansRefusedByTempo"
    case deadLetters = "AsynqDeadLetters"
    case backlogGrowing = "BacklogGrowing"
    case failureRatioHigh = "AsynqFailureRatioHigh"
    case retryBacklogGrowing = "AsynqRetryBacklogGrowing"
    case orphanedTasks = "AsynqOrphanedTasks"
    case taskRunsTooLong = "AsynqTaskRunsTooLong"
    case queuePausedWithBacklog = "AsynqQueuePausedWithBacklog"
    case archiveNearlyFull = "AsynqArchiveNearlyFull"
    case queueNotRegistered = "AsynqQueueNotRegistered"
    case queuePartlyUnreadable = "QueuePartlyUnreadable"
    case cronUnreadable = "CronUnreadable"
    case schedulerNotEnqueueing = "AsynqSchedulerNotEnqueueing"
    case schedulerEntriesMissing = "AsynqSchedulerEntriesMissing"
    case schedulerEntryTwice = "AsynqSchedulerEntryTwice"
    case metricsNotPushed = "AsynqMetricsNotPushed"

    /// The shipped alert; nil for a condition that only the collector judges.
    package var alert: String? {
        switch self {
        case .spoolStalled, .backlogGrowing, .queueUnreadable, .queuePartlyUnreadable, .serversUnreadable,
            .cronUnreadable:
            nil
        default: rawValue
        }
    }

    /// The severity once the condition has lasted for `duration`; one step lower before.
    package var severity: Severity {
        switch self {
        case .redisUnreachable, .redisEvictingKeys, .redisMemoryNearLimit, .spoolStalled, .queueWithoutConsumers,
            .queueStalled, .overdueTasks, .oldestPendingTooOld, .waitBudgetBurningFast, .schedulerEntryOverdue:
            .critical
        case .schedulerEntryTwice, .queuePartlyUnreadable: .info
        default: .warning
        }
    }

    /// The time for which the condition has to hold before it fires: the rule's `for`.
    package var duration: Duration {
        switch self {
        case .redisEvictingKeys, .spansDropped, .spansRefusedByTempo, .deadLetters, .queueUnreadable,
            .queuePartlyUnreadable, .serversUnreadable, .cronUnreadable:
            .zero
        case .spoolStalled: .seconds(10)
        case .waitBudgetBurningFast: .seconds(60)
        case .redisUnreachable, .scrapeStale, .spansNotAccepted, .oldestPendingTooOld, .schedulerEntryOverdue:
            .seconds(2 * 60)
        case .forwardingFails, .schedulerNotEnqueueing, .metricsNotPushed: .seconds(10 * 60)
        case .queueStalled, .spoolWillBeFull, .archiveNearlyFull, .schedulerEntriesMissing, .schedulerEntryTwice:
            .seconds(15 * 60)
        case .queuePausedWithBacklog: .seconds(30 * 60)
        default: .seconds(5 * 60)
        }
    }

    /// The time for which the condition has to hold before people see it. Conditions that pass by themselves within
    /// seconds in ordinary operation are held back.
    var patience: Duration {
        switch self {
        case .redisUnreachable, .queuePausedWithBacklog, .forwardingFails, .spoolStalled, .archiveNearlyFull,
            .taskRunsTooLong:
            .zero
        case .overdueTasks, .queueNotRegistered, .schedulerEntryTwice: min(duration, .seconds(60))
        default: min(duration, .seconds(15))
        }
    }

    static let longestPatience = allCases.map(\.patience).max() ?? .zero

    package var subject: Subject {
        switch self {
        case .redisUnreachable, .redisEvictingKeys, .redisMemoryNearLimit, .scrapeStale: .redis
        case .spoolStalled, .spansNotAccepted, .spansDropped, .spoolFilling, .spoolWillBeFull: .spool
        case .forwardingFails, .spansRefusedByTempo: .tempo
        case .serversUnreadable: .server
        case .schedulerEntryOverdue, .schedulerNotEnqueueing, .schedulerEntriesMissing, .schedulerEntryTwice,
            .cronUnreadable:
            .cron
        case .metricsNotPushed: .collector
        default: .queue
        }
    }

    /// True if it is judged by what the last good scrape of Redis saw.
    var isReadFromRedis: Bool {
        switch subject {
        case .queue, .server, .cron: true
        case .redis: self == .redisEvictingKeys || self == .redisMemoryNearLimit
        case .tempo, .spool, .collector: false
        }
    }

    /// The section of docs/RUNBOOK.md.
    package var runbook: String {
        switch self {
        case .backlogGrowing: Self.oldestPendingTooOld.runbook
        case .spoolStalled: Self.spansNotAccepted.runbook
        case .queueUnreadable, .queuePartlyUnreadable, .serversUnreadable, .cronUnreadable: "unreadable-keys"
        default: rawValue.lowercased()
        }
    }
}
