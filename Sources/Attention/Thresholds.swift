/// The numbers of the rules (prometheus/rules) that no setting of the collector has. A test compares each with the
/// expression that its comment names.
package enum Thresholds {
    // MARK: Waits

    /// The wait objective: `asynq:task_wait_objective:seconds`.
    package static let objectiveSeconds = 10.0
    /// The share of waits that may miss it: 1 − `asynq:task_wait_objective:ratio`.
    package static let budget = 0.01
    /// AsynqWaitBudgetBurningFast: the multiple of the budget, the two windows, and the least number of waits.
    static let fastBurn = 14.4
    static let longBurn = Duration.seconds(3600)
    static let shortBurn = Duration.seconds(5 * 60)
    static let leastWaits = 100.0
    /// The time after a pause in which a queue is not judged by it.
    static let budgetPause = Duration.seconds(3600)
    /// AsynqOldestPendingTooOld: the multiple of the objective, and the time after a pause in which it is not judged.
    static let oldestObjectives = 30.0
    static let oldestSeconds = oldestObjectives * objectiveSeconds
    static let oldestPause = Duration.seconds(15 * 60)

    // MARK: Queues

    /// The range of alerts that tell of an event.
    static let events = Duration.seconds(15 * 60)
    /// AsynqRetryBacklogGrowing: the least size, and the growth as a share of it within the window.
    static let leastRetries = 50.0
    static let retryGrowth = 0.2
    static let retryWindow = Duration.seconds(15 * 60)
    /// Asynq trims the archive to this number.
    static let archiveLimit = 10_000.0
    /// AsynqArchiveNearlyFull: the share of the archive's limit.
    static let archiveFill = 0.9
    /// AsynqFailureRatioHigh: the share of failures, the least number of attempts, and the window.
    static let failureShare = 0.2
    static let leastAttempts = 20.0
    static let failureWindow = Duration.seconds(10 * 60)
    /// AsynqQueueStalled: the window without an attempt that ended.
    static let stallWindow = Duration.seconds(5 * 60)
    /// AsynqOverdueTasks: the time for which the number has not fallen.
    static let overdueFall = Duration.seconds(5 * 60)
    /// The run time that counts as too long: `queue:asynq_task_run_limit:seconds`.
    package static let runSeconds = 3600.0
    /// The least size of a growing backlog, and the growth as a share of it. No rule has it.
    static let leastBacklog: Int64 = 50
    static let growth = 0.2

    // MARK: Redis and cron

    /// AsynqScrapeStale: the age of the last scrape.
    static let staleSeconds = 120.0
    /// AsynqRedisMemoryNearLimit: the share of Redis' limit.
    static let redisMemory = 0.9
    /// AsynqSchedulerEntryOverdue: the time since the tick was due.
    static let entryLateSeconds = 120.0
    /// AsynqSchedulerNotEnqueueing: the time by which the stamp of the tick may be later than that of the task.
    static let tickTolerance = Duration.seconds(5)
    /// AsynqSchedulerEntryTwice: the number of schedulers that is fine.
    static let schedulers = 1

    // MARK: Spans

    /// AsynqSpoolFilling: the share of the spool's limit.
    static let spoolFill = 0.8
    /// AsynqSpoolWillBeFull: the seconds until it is full, at the rate of the window, and the least share that is
    /// filled.
    static let spoolFullSeconds = 4 * 3600.0
    /// The furthest time to a full spool that is told: beyond it the rate is too low to say anything of that day.
    static let spoolMaxForecastSeconds = 30 * 86_400.0
    static let spoolWindow = Duration.seconds(30 * 60)
    static let spoolLeastFill = 0.1
    /// AsynqForwardingFails: the share of requests that failed, and the window.
    static let failedRequests = 0.5
    static let requestWindow = Duration.seconds(10 * 60)
}
