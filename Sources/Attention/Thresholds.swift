/// The numbers of the rules (prometheus/rules), which have no key of their own here. A test compares each with the expression that
/// its comment names.
package enum Thresholds {
    // MARK: Waits

    /// `asynq:task_wait_objective:seconds`.
    package static let objectiveSeconds = 10.0
    /// 1 − `asynq:task_wait_objective:ratio`.
    package static let budget = 0.01
    /// AsynqWaitBudgetBurningFast: how many times the budget, within which windows, of how many waits.
    static let fastBurn = 14.4
    static let longBurn = Duration.seconds(3600)
    static let shortBurn = Duration.seconds(5 * 60)
    static let leastWaits = 100.0
    /// A queue that was paused so lately is not judged by it.
    static let budgetPause = Duration.seconds(3600)
    /// AsynqOldestPendingTooOld: how many times the objective, and how long after a pause it is not judged.
    static let oldestObjectives = 30.0
    static let oldestSeconds = oldestObjectives * objectiveSeconds
    static let oldestPause = Duration.seconds(15 * 60)

    // MARK: Queues

    /// The range of alerts that tell of an event.
    static let events = Duration.seconds(15 * 60)
    /// AsynqRetryBacklogGrowing: above this size, if it grew by this share of itself within the window.
    static let leastRetries = 50.0
    static let retryGrowth = 0.2
    static let retryWindow = Duration.seconds(15 * 60)
    /// Asynq trims the archive to this number.
    static let archiveLimit = 10_000.0
    /// AsynqArchiveNearlyFull.
    static let archiveFill = 0.9
    /// AsynqFailureRatioHigh: the share, of how many attempts, within the window.
    static let failureShare = 0.2
    static let leastAttempts = 20.0
    static let failureWindow = Duration.seconds(10 * 60)
    /// AsynqQueueStalled.
    static let stallWindow = Duration.seconds(5 * 60)
    /// AsynqOverdueTasks: the number has not fallen for so long.
    static let overdueFall = Duration.seconds(5 * 60)
    /// `queue:asynq_task_run_limit:seconds`.
    package static let runSeconds = 3600.0
    /// A backlog that grows is told of above this size, and if it grew by this share of itself. No rule has it.
    static let leastBacklog: Int64 = 50
    static let growth = 0.2

    // MARK: Redis and cron

    /// AsynqScrapeStale.
    static let staleSeconds = 120.0
    /// AsynqRedisMemoryNearLimit.
    static let redisMemory = 0.9
    /// AsynqSchedulerEntryOverdue.
    static let entryLateSeconds = 120.0
    /// AsynqSchedulerNotEnqueueing: the stamp of the tick may be later than that of the task by so much.
    static let tickTolerance = Duration.seconds(5)
    /// AsynqSchedulerEntryTwice: more schedulers than this.
    static let schedulers = 1

    // MARK: Spans

    /// AsynqSpoolFilling.
    static let spoolFill = 0.8
    /// AsynqSpoolWillBeFull: within how many seconds, at the rate of the window, where it is filled to this share.
    static let spoolFullSeconds = 4 * 3600.0
    static let spoolWindow = Duration.seconds(30 * 60)
    static let spoolLeastFill = 0.1
    /// AsynqForwardingFails: the share of requests, within the window.
    static let failedRequests = 0.5
    static let requestWindow = Duration.seconds(10 * 60)
}
