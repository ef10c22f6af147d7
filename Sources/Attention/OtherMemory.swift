package import Model
import Text

/// Judges Redis, cron entries, and the way of spans. It remembers counters that have no place in the history of queues.
struct OtherMemory: Sendable {
    /// The time at which it began to judge.
    private var begin: MonotonicTime?
    private var evictedKeys = TimedValues(window: Thresholds.events)
    /// The counts of entries; the rule has a window of a day.
    private var entryCounts = TimedValues(window: .seconds(3600))
    private var refused: [String: TimedValues] = [:]
    private var dropped: [String: TimedValues] = [:]
    private var spoolBytes = TimedValues(window: Thresholds.spoolWindow)
    /// The bytes of the spool since the trace backend went down; nil while it is up.
    private var outageBytes: TimedValues?
    private var forwards = BackendMemory()
    private var pushes = BackendMemory()

    /// The part of the window of events that has been observed, for people.
    private func observedSpan(at now: MonotonicTime) -> String {
        humanSpan(max(1, min(Thresholds.events, begin.map { now.duration(since: $0) } ?? .zero).inSeconds))
    }

    // MARK: Redis

    mutating func judge(_ snapshot: RedisSnapshot, in situation: Situation, into findings: inout Findings) {
        if let keys = snapshot.info.evictedKeys {
            evictedKeys.record(Double(keys), at: situation.now.monotonic)
        }
        let evicted = Int(saturating: evictedKeys.rise)
        let span = observedSpan(at: situation.now.monotonic)
        findings.judge(.redisEvictingKeys, holds: snapshot.info.evictedKeys.map { _ in evicted > 0 }) { _ in
            "Redis evicted \(humanCount(evicted, "key")) in \(span); each one may be a task or a whole queue"
        }
        var use: Double?
        if let used = snapshot.info.usedMemoryBytes, let limit = snapshot.info.maxMemoryBytes {
            use = limit > 0 ? Double(used) / Double(limit) : 0
        }
        findings.judge(.redisMemoryNearLimit, holds: use.map { $0 > Thresholds.redisMemory }) { _ in
            "Redis uses \(humanShare(use ?? 0)) of its memory limit; beyond it, it refuses or evicts tasks"
        }
        let age = situation.now.wall.duration(since: snapshot.takenAt).inSeconds
        let stale = age - Thresholds.staleSeconds
        findings.judge(.scrapeStale, holds: stale > 0, before: .seconds(max(0, stale))) { _ in
            "Redis was last read \(humanSpan(age)) ago"
        }
        judgeUnreadable(snapshot, &findings)
        judgeCron(snapshot, in: situation, into: &findings)
    }

    /// Judges the parts that could not be read: what is unknown is not nothing.
    private func judgeUnreadable(_ snapshot: RedisSnapshot, _ findings: inout Findings) {
        let servers = snapshot.serversProblem.map { ForeignText($0).shownProblem }
        findings.judge(.serversUnreadable, holds: servers != nil) { _ in
            "The servers can't be read\(snapshot.servers == nil ? "" : " in full"): \(servers ?? "")"
        }
        let cron = snapshot.cronProblem.map { ForeignText($0).shownProblem }
        findings.judge(.cronUnreadable, holds: cron != nil) { _ in
            "The cron entries can't be read\(snapshot.schedulerEntries == nil ? "" : " in full"): \(cron ?? "")"
        }
    }

    private func judgeReading(_ situation: Situation, _ findings: inout Findings) {
        guard case .unread(let reason) = situation.redis else { return }
        // Before the first attempt has ended, nothing is wrong yet.
        findings.judge(.redisUnreachable, holds: reason != nil) { seconds in
            "Redis has been unreachable for \(humanSpan(seconds)): \(reason ?? "")"
        }
    }

    // MARK: Cron

    private mutating func judgeCron(
        _ snapshot: RedisSnapshot, in situation: Situation, into findings: inout Findings
    ) {
        guard let entries = snapshot.schedulerEntries else {
            for condition in Condition.allCases where condition.subject == .cron && condition != .cronUnreadable {
                findings.leave(condition)
            }
            return
        }
        let now = situation.now.wall
        for entry in entries {
            let name = "cron \(entry.spec.shown) (\(entry.taskType.shownName))"
            let late = entry.secondsLate(at: now)
            let tooLate = late - Thresholds.entryLateSeconds
            findings.judge(
                .schedulerEntryOverdue, detail: entry.id.printable, holds: entry.isOverdue(at: now),
                before: .seconds(max(0, tooLate))
            ) { _ in
                "\(name) is \(humanSpan(late)) late; its scheduler is alive and does not enqueue"
            }
            let isIdle = entry.previousEnqueue.map { previous in
                entry.lastEnqueued.map { $0 < previous.advanced(by: .zero - Thresholds.tickTolerance) } ?? true
            }
            let holds = entry.isLastEnqueuedUnknown ? nil : isIdle ?? false
            let sinceTick = entry.previousEnqueue.map { max(.zero, now.duration(since: $0)) } ?? .zero
            let sinceTask = entry.lastEnqueued.map { humanSpan(now.duration(since: $0).inSeconds) }
            findings.judge(
                .schedulerNotEnqueueing, detail: entry.id.printable, holds: holds, before: entry.idle(at: now)
            ) { _ in
                "\(name) ticked \(humanSpan(sinceTick.inSeconds)) ago, and no task was enqueued"
                    + (sinceTask.map { " for \($0)" } ?? "")
            }
        }
        judgeSchedulers(entries, &findings)
        // An entry that can't be read is not missing.
        if snapshot.cronProblem != nil { return findings.leave(.schedulerEntriesMissing) }
        let usual = entryCounts.median.map { Int($0) } ?? 0
        entryCounts.record(Double(entries.count), at: situation.now.monotonic)
        findings.judge(.schedulerEntriesMissing, holds: entries.count < usual) { _ in
            "\(humanCount(usual - entries.count)) of \(humanCount(usual, "cron entry", "cron entries")) "
                + "\(usual - entries.count == 1 ? "is" : "are") missing: is a scheduler gone?"
        }
    }

    private func judgeSchedulers(_ entries: [SchedulerEntrySnapshot], _ findings: inout Findings) {
        struct Job: Hashable {
            let spec: ForeignText
            let type: TaskType
        }
        let schedulers = Dictionary(grouping: entries) { Job(spec: $0.spec, type: $0.taskType) }
            .mapValues { Set($0.map(\.scheduler)).count }
        for (job, count) in schedulers where count > Thresholds.schedulers {
            let name = "cron \(job.spec.shown) (\(job.type.shownName))"
            findings.judge(.schedulerEntryTwice, detail: name, holds: true) { _ in
                "\(name): \(humanCount(count)) schedulers have it, and each of them enqueues at each tick"
            }
        }
    }

    // MARK: Spans

    mutating func judge(_ situation: Situation, _ findings: inout Findings) {
        begin = begin ?? situation.now.monotonic
        judgeReading(situation, &findings)
        let (spans, now) = (situation.spans, situation.now.monotonic)
        findings.judge(.spoolStalled, holds: spans.isDiskHanging) { seconds in
            "The disk of the spool has not answered for \(humanSpan(seconds)); spans are refused"
        }
        if spans.isDiskHanging {
            for condition in [Condition.spansNotAccepted, .spansDropped, .spansRefusedByTempo] {
                findings.leave(condition)
            }
            for condition in [Condition.spoolFilling, .spoolWillBeFull] { findings.leave(condition) }
        } else {
            judgeLosses(spans, at: now, &findings)
        }
        if spans.backend?.isUp != false {
            outageBytes = nil
        } else if outageBytes == nil {
            outageBytes = TimedValues(window: Thresholds.spoolWindow)
        }
        let fill = judgeSpool(spans.spool, at: now, &findings)
        judgeBackend(spans.backend, fill: fill, at: now, into: &findings)
        judgePushes(situation.pushes, at: now, &findings)
    }

    private mutating func judgeLosses(_ spans: SpanPath, at now: MonotonicTime, _ findings: inout Findings) {
        let span = observedSpan(at: now)
        for (reason, count) in spans.refused where reason == "spool_full" || reason == "unavailable" {
            let risen = Self.rise(&refused, reason: reason, count: count, at: now)
            findings.judge(.spansNotAccepted, detail: reason, holds: risen > 0) { _ in
                let cause = reason == "unavailable" ? "unavailable: the spool can't be written" : reason
                return "\(humanCount(risen, "span")) \(risen == 1 ? "was" : "were") refused in \(span) (\(cause)); "
                    + "senders that stop retrying lose them"
            }
        }
        for (reason, count) in spans.spool?.dropped ?? [:] {
            let risen = Self.rise(&dropped, reason: reason, count: count, at: now)
            let were = risen == 1 ? "was" : "were"
            switch reason {
            case "unsynced":
                findings.judge(.spansNotAccepted, detail: reason, holds: risen > 0) { _ in
                    "The disk did not keep \(humanCount(risen, "span")) in \(span) (unsynced); senders that stop retrying lose them"
                }
            case "rejected", "refused":
                findings.judge(.spansRefusedByTempo, detail: reason, holds: risen > 0) { _ in
                    "Tempo refused \(humanCount(risen, "span")) in \(span) (\(reason)); sending again does not help"
                }
            default:
                findings.judge(.spansDropped, detail: reason, holds: risen > 0) { _ in
                    "\(humanCount(risen, "accepted span")) \(were) dropped in \(span) (\(reason)); traces have holes"
                }
            }
        }
    }

    private static func rise(
        _ counters: inout [String: TimedValues], reason: String, count: UInt64, at now: MonotonicTime
    ) -> Int {
        var counter = counters[reason] ?? TimedValues(window: Thresholds.events)
        // A reason that is new had counted nothing before.
        if counters[reason] == nil { counter.record(0, at: now.advanced(by: .nanoseconds(-1))) }
        counter.record(Double(count), at: now)
        counters[reason] = counter
        return Int(saturating: counter.rise)
    }

    /// Returns a clause that says how full the spool is, and when it will be full.
    private mutating func judgeSpool(
        _ spool: SpanPath.Spool?, at now: MonotonicTime, _ findings: inout Findings
    ) -> String {
        guard let spool, spool.capacityBytes > 0 else { return "" }
        spoolBytes.record(Double(spool.bytes), at: now)
        outageBytes?.record(Double(spool.bytes), at: now)
        let (bytes, capacity) = (Double(spool.bytes), Double(spool.capacityBytes))
        let fullIn = secondsUntilFull(spool)
        let fill = humanShare(bytes / capacity) + " full" + (fullIn.map { ", full in \(humanSpan($0))" } ?? "")
        findings.judge(.spoolFilling, holds: bytes / capacity > Thresholds.spoolFill) { _ in "The spool is \(fill)" }
        let willBeFull = spool.secondsUntilFull(spoolBytes).map {
            $0 < Thresholds.spoolFullSeconds && bytes > Thresholds.spoolLeastFill * capacity
        }
        findings.judge(.spoolWillBeFull, holds: willBeFull ?? false) { _ in "The spool is \(fill)" }
        return "spool " + fill
    }

    /// Returns the seconds until the spool is full at the rate of the last half hour, or since the trace backend went down: what came
    /// before says nothing of an outage. nil while the spool does not grow, or would not be full within 30 days.
    func secondsUntilFull(_ spool: SpanPath.Spool) -> Double? { spool.secondsUntilFull(outageBytes ?? spoolBytes) }

    private mutating func judgeBackend(
        _ backend: Backend?, fill: String, at now: MonotonicTime, into findings: inout Findings
    ) {
        guard let backend else { return }
        let (share, isFailing) = forwards.record(backend, at: now)
        // This comes sooner than the rule, which sees requests only: a backend that is down is tried twice a minute.
        let isDown = backend.isUp == false
        findings.judge(.forwardingFails, holds: isDown || isFailing) { seconds in
            let reason = backend.lastFailure.map { " (\($0))" } ?? ""
            let clause = fill.isEmpty ? "" : "; " + fill
            if isDown { return "Tempo has been unreachable for \(humanSpan(seconds))\(reason)\(clause)" }
            return "\(humanShare(share)) of the requests to Tempo fail\(reason)\(clause)"
        }
    }

    private mutating func judgePushes(_ backend: Backend?, at now: MonotonicTime, _ findings: inout Findings) {
        guard let backend else { return }
        let (share, isFailing) = pushes.record(backend, at: now)
        let isDown = backend.isUp == false
        findings.judge(.metricsNotPushed, holds: isDown || isFailing) { seconds in
            let reason = backend.lastFailure.map { " (\($0))" } ?? ""
            if !isDown { return "\(humanShare(share)) of the pushes of metrics fail\(reason)" }
            let which = backend.isPartlyUp ? "A part of the metrics could not" : "No metrics could"
            return "\(which) be pushed for \(humanSpan(seconds))\(reason)"
        }
    }
}

extension SchedulerEntrySnapshot {
    /// Returns true if its tick is so late that something is wrong, as AsynqSchedulerEntryOverdue judges it.
    package func isOverdue(at now: WallTime) -> Bool { secondsLate(at: now) > Thresholds.entryLateSeconds }

    /// Returns the time since the next tick was due; below 0 where it is to come, 0 where there is none.
    fileprivate func secondsLate(at now: WallTime) -> Double {
        nextEnqueue.map { now.duration(since: $0).inSeconds } ?? 0
    }

    /// Returns the time since the first tick that enqueued no task, as far as stamps tell: the last tick, or the one that
    /// was due an interval after the last task.
    fileprivate func idle(at now: WallTime) -> Duration {
        guard let previousEnqueue else { return .zero }
        let sinceTick = max(.zero, now.duration(since: previousEnqueue))
        // Right after a tick its task may be on its way.
        guard sinceTick > Thresholds.tickTolerance, let nextEnqueue, let lastEnqueued else { return sinceTick }
        let interval = max(.zero, nextEnqueue.duration(since: previousEnqueue))
        return max(sinceTick, now.duration(since: lastEnqueued) - interval)
    }
}

extension SpanPath.Spool {
    /// Returns the seconds until the spool is full at the rate of the values; nil while it does not grow, or would not be full
    /// within 30 days.
    fileprivate func secondsUntilFull(_ values: TimedValues) -> Double? {
        guard let slope = values.slope, slope >= 1 else { return nil }
        let seconds = max(0, Double(capacityBytes) - Double(bytes)) / slope
        return seconds <= Thresholds.spoolMaxForecastSeconds ? seconds : nil
    }
}

/// The requests to one backend.
private struct BackendMemory: Sendable {
    private static let recent = Duration.seconds(60)

    private var requests = TimedValues(window: Thresholds.requestWindow)
    private var failedRequests = TimedValues(window: Thresholds.requestWindow)
    private var recentFailures = TimedValues(window: recent)

    /// Returns the share of the requests that failed, and whether that is too high. It ends with the failures: the rule
    /// counts those before the recovery for ten minutes.
    mutating func record(_ backend: Backend, at now: MonotonicTime) -> (share: Double, isFailing: Bool) {
        requests.record(Double(backend.requests), at: now)
        failedRequests.record(Double(backend.failedRequests), at: now)
        recentFailures.record(Double(backend.failedRequests), at: now)
        let share = requests.rise > 0 ? failedRequests.rise / requests.rise : 0
        return (share, share > Thresholds.failedRequests && recentFailures.rise > 0)
    }
}
