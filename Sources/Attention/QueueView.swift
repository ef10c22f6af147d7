import Model
import Text

/// One queue as its conditions are judged: the expressions of the rules of asynq-alerts.yml, each with its sentence.
struct QueueView {
    let queue: QueueSnapshot
    let history: QueueHistory
    /// The time since the queue was paused; unused while it runs.
    let paused: Duration
    /// The time that tasks are taken to have waited in the pause when they are first found.
    let backlogBefore: Duration
    /// The time since the queue was last seen paused; nil if that is more than an hour.
    let sincePause: Duration?
    /// The moment by Redis' clock, with which scores are compared.
    let redisNow: WallTime
    /// The workers of the queue; nil where the servers could not be read.
    let workers: ServedQueues.Workers?
    let commonestError: CommonError?

    private var name: String { queue.name.shownName }
    private var pending: Int64? { queue.size[.pending] }
    private var isPaused: Bool { queue.isPaused == true }

    private func wasPaused(within window: Duration) -> Bool { sincePause.map { $0 <= window } ?? false }

    func judge(_ findings: inout Findings) {
        judgePause(&findings)
        judgeWaiting(&findings)
        judgeFailures(&findings)
        judgeServers(&findings)
    }

    // MARK: Pauses

    private func judgePause(_ findings: inout Findings) {
        let ready = queue.readyTasks
        let holds = queue.isPaused.flatMap { isPaused in isPaused ? ready.map { $0 > 0 } : false }
        findings.judge(.queuePausedWithBacklog, of: queue.name, holds: holds, before: backlogBefore) { _ in
            let span = humanSpan(paused.inSeconds)
            let wait = "\(humanCount(ready ?? 0, "task")) \(ready == 1 ? "waits" : "wait")"
            return "\(name) has been paused for \(span); \(wait)"
        }
    }

    // MARK: Waiting

    private func judgeWaiting(_ findings: inout Findings) {
        let age = queue.latencyNanoseconds.map { Double($0) / 1e9 }
        let isOld = age.map { $0 > Thresholds.oldestSeconds && !wasPaused(within: Thresholds.oldestPause) }
        // It began when the task grew too old, or later when the pause was long enough ago.
        var before = Duration.seconds(max(0, (age ?? 0) - Thresholds.oldestSeconds))
        if let sincePause { before = max(.zero, min(before, sincePause - Thresholds.oldestPause)) }
        findings.judge(.oldestPendingTooOld, of: queue.name, holds: isOld, before: before) { _ in
            "\(name): the next task has been ready to run for \(humanSpan(age ?? 0)); "
                + "\(humanCount(pending ?? 0, "task")) \(pending == 1 ? "waits" : "wait")"
        }
        let (hour, recent) = (slowShare(over: Thresholds.longBurn), slowShare(over: Thresholds.shortBurn))
        let limit = Thresholds.fastBurn * Thresholds.budget
        let burns =
            if let hour, let recent {
                hour.share > limit && recent.share > limit && hour.count >= Thresholds.leastWaits
                    && !wasPaused(within: Thresholds.budgetPause)
            } else { false }
        findings.judge(.waitBudgetBurningFast, of: queue.name, holds: burns) { _ in
            let observed = observed(within: Thresholds.longBurn)
            let clause =
                observed >= Thresholds.shortBurn + .seconds(60)
                ? ", and \(humanShare(recent?.share ?? 0)) of those of the last \(span(Thresholds.shortBurn))" : ""
            return
                "\(name): \(humanShare(hour?.share ?? 0)) of the tasks of the last \(span(observed)) waited longer than "
                + "\(humanSeconds(Thresholds.objectiveSeconds))\(clause); the objective is \(humanShare(Thresholds.budget))"
        }
        judgeGrowth(&findings)
    }

    /// Returns the part of a window that ends now in which the queue has been observed.
    private func observed(within window: Duration) -> Duration { history.observed(queue.name, within: window) }

    private func slowShare(over window: Duration) -> (share: Double, count: Double)? {
        guard let all = history.sum(.waits, of: queue.name, over: window), all > 0,
            let slow = history.sum(.slowWaits, of: queue.name, over: window)
        else { return nil }
        return (slow / all, all)
    }

    private func judgeGrowth(_ findings: inout Findings) {
        guard let backlog = Backlog(of: queue.name, history), let workers else { return }
        let holds =
            backlog.pending > Thresholds.leastBacklog && backlog.growth > Thresholds.growth * Double(backlog.pending)
            && backlog.outlook == .grows && !isPaused && workers.consumers > 0
        findings.judge(.backlogGrowing, of: queue.name, holds: holds) { _ in
            "\(name): the backlog of \(humanCount(backlog.pending, "task")) grows by "
                + "\(humanRate(backlog.growthPerSecond)), \(humanCount(workers.busy)) of "
                + "\(humanCount(workers.concurrency, "worker")) busy, drains never at this rate"
        }
    }

    // MARK: Failures

    private func judgeFailures(_ findings: inout Findings) {
        let retry = queue.size[.retry]
        let before = history.earliest(.retry, of: queue.name, within: Thresholds.retryWindow)
        let risen = retry.flatMap { retry in before.map { Double(retry) - $0.value } }
        let grows = retry.map {
            Double($0) > Thresholds.leastRetries && (risen ?? 0) > Thresholds.retryGrowth * Double($0)
        }
        findings.judge(.retryBacklogGrowing, of: queue.name, holds: grows) { _ in
            "\(name): \(humanCount(retry ?? 0, "task")) wait for a retry, \(humanCount(Int(saturating: risen ?? 0))) more than "
                + "\(humanSpan(before?.seconds ?? 0)) ago"
        }
        let deaths = history.sum(.deadLettered, of: queue.name, over: Thresholds.events).map { Int(saturating: $0) }
        findings.judge(.deadLetters, of: queue.name, holds: deaths.map { $0 > 0 } ?? false) { _ in
            // Dead letters are counted since the collector started, however late the queue is seen first.
            let observed = history.observed(within: Thresholds.events)
            return "\(name): \(humanCount(deaths ?? 0, "dead letter")) in \(span(observed))\(errorClause(deaths ?? 0))"
        }
        let fill = queue.size[.archived].map { Double($0) / Thresholds.archiveLimit }
        findings.judge(.archiveNearlyFull, of: queue.name, holds: fill.map { $0 > Thresholds.archiveFill }) { _ in
            "\(name): the archive is \(humanShare(fill ?? 0)) full; at 10,000 tasks each dead letter pushes out an older one"
        }
        let failed = history.sum(.failed, of: queue.name, over: Thresholds.failureWindow)
        let completed = history.sum(.completed, of: queue.name, over: Thresholds.failureWindow)
        let ended = failed.flatMap { failed in completed.map { failed + $0 } }
        let isHigh =
            ended.map { $0.rounded() >= Thresholds.leastAttempts && (failed ?? 0) / $0 > Thresholds.failureShare }
            ?? false
        findings.judge(.failureRatioHigh, of: queue.name, holds: isHigh) { _ in
            "\(name): \(humanShare((failed ?? 0) / (ended ?? 1))) of the attempts of the last "
                + "\(span(observed(within: Thresholds.failureWindow))) failed "
                + "(\(humanCount(Int(saturating: failed ?? 0))) of \(humanCount(Int(saturating: ended ?? 0))))"
        }
    }

    private func errorClause(_ deaths: Int) -> String {
        guard let error = commonestError, !error.text.isEmpty else { return "" }
        // Backticks mark the text on the page: none may stand inside.
        let text = "`\(String(error.text.map { $0 == "`" ? "'" : $0 }))`"
        if deaths == 1 { return ": \(text)" }
        if error.count >= deaths { return ", all of them \(text)" }
        if error.count * 2 > deaths { return ", most of them \(text)" }
        if error.total >= deaths { return ", most often \(text)" }
        if error.total == 1 { return "; the newest says \(text)" }
        return error.count == error.total
            ? "; the newest \(error.total) all say \(text)"
            : "; \(error.count) of the newest \(error.total) say \(text)"
    }

    // MARK: Servers

    private func judgeServers(_ findings: inout Findings) {
        let waits = "\(humanCount(pending ?? 0, "task")) \(pending == 1 ? "waits" : "wait")"
        let isUnserved = pending.flatMap { pending in
            pending > 0 && !isPaused ? workers.map { $0.consumers == 0 } : false
        }
        findings.judge(.queueWithoutConsumers, of: queue.name, holds: isUnserved) { seconds in
            "\(name): no live server has served it for \(humanSpan(seconds)); \(waits)"
        }
        let ended = endedWithin(Thresholds.stallWindow)
        let isStalled = pending.flatMap { pending in
            pending > 0 && !isPaused && history.hasSeen(queue.name, for: Thresholds.stallWindow)
                ? workers.flatMap { workers in ended.map { workers.consumers > 0 && $0 == 0 } } : false
        }
        findings.judge(.queueStalled, of: queue.name, holds: isStalled) { seconds in
            "\(name): \(waits), \(humanCount(workers?.consumers ?? 0, "server")) \(workers?.consumers == 1 ? "serves" : "serve") "
                + "it, and nothing has been finished for \(humanSpan(seconds + Thresholds.stallWindow.inSeconds))"
        }
        let orphanedFor = queue.orphanedSince.map { max(.zero, redisNow.duration(since: $0)) } ?? .zero
        findings.judge(
            .orphanedTasks, of: queue.name, holds: queue.orphaned.map { $0 > 0 }, before: orphanedFor
        ) { _ in
            "\(name): \(humanCount(queue.orphaned ?? 0, "task")) lost \(queue.orphaned == 1 ? "its" : "their") worker, and "
                + "no server has taken \(queue.orphaned == 1 ? "it" : "them") back"
        }
        let longest = queue.longestRunning?.inSeconds
        let overrun = (longest ?? 0) - Thresholds.runSeconds
        findings.judge(.taskRunsTooLong, of: queue.name, holds: overrun > 0, before: .seconds(max(0, overrun))) { _ in
            "\(name): a task has been running for \(humanSpan(longest ?? 0))"
        }
        judgeRegistration(&findings)
    }

    private func endedWithin(_ window: Duration) -> Int? {
        guard let completed = history.sum(.completed, of: queue.name, over: window),
            let failed = history.sum(.failed, of: queue.name, over: window)
        else { return nil }
        return Int(saturating: completed + failed)
    }

    private func judgeRegistration(_ findings: inout Findings) {
        let tasks = queue.size.values.reduce(0, &+)
        let isMissing = queue.isRegistered.map { isRegistered in
            !isRegistered && (tasks > 0 || (endedWithin(Thresholds.events) ?? 0) > 0)
        }
        findings.judge(.queueNotRegistered, of: queue.name, holds: isMissing) { _ in
            "\(name): Redis' list asynq:queues lacks it, so Asynq's own tools do not see its \(humanCount(tasks, "task"))"
        }
    }
}

/// Returns a window as people say it: `15 min`, `hour`.
private func span(_ window: Duration) -> String {
    window == .seconds(3600) ? "hour" : humanSpan(max(1, window.inSeconds))
}

extension QueueSnapshot {
    /// The number of tasks that could run now: pending ones, and those whose time has passed where no server moves them
    /// to pending.
    var readyTasks: Int64? { size[.pending].map { $0 &+ (overdue[.scheduled] ?? 0) &+ (overdue[.retry] ?? 0) } }
}
