package import Model

/// Decides what needs attention. It is pure: the moments come as arguments, and it reads only what it is given.
///
/// A condition that holds is open. It becomes a trouble once it has been open for its `patience`. It fires, which is to
/// say has its full severity, once it has been open for its `duration`. A condition that can't be judged stays as it
/// was: while Redis can't be read, its troubles go on.
package struct Attention: Sendable {
    private struct Open {
        let since: WallTime
        /// The time at which it was found, and for how long it had held by then.
        let found: (at: MonotonicTime, after: Duration)
        var sentence = ""

        init(found now: (wall: WallTime, monotonic: MonotonicTime), after before: Duration) {
            since = now.wall.advanced(by: .zero - before)
            found = (now.monotonic, before)
        }

        func lasted(at now: MonotonicTime) -> Duration { now.duration(since: found.at) + found.after }
    }

    private var open: [TroubleKey: Open] = [:]
    private var queues = QueueMemory()
    private var others = OtherMemory()
    /// The time of the first evaluation that had news of Redis, or needed none.
    private var begin: MonotonicTime?

    package init() {}

    /// Returns all troubles, the worst first.
    ///
    /// - Parameter history: The last hour of the queues that the situation has.
    package mutating func evaluate(_ situation: Situation, _ history: QueueHistory) -> [Trouble] {
        let now = situation.now
        var findings = Findings()
        others.judge(situation, &findings)
        if let snapshot = situation.redis.snapshot { others.judge(snapshot, in: situation, into: &findings) }
        let isUnread = if case .unread = situation.redis { true } else { false }
        if !isUnread {
            begin = begin ?? now.monotonic
            queues.judge(situation, history: history, into: &findings)
        }
        var stillOpen = open.filter { key, _ in
            findings.isUnknown(key) || (isUnread && key.condition.isReadFromRedis)
        }
        for (key, held) in findings.held {
            var condition = open[key] ?? Open(found: now, after: held.before)
            condition.sentence = held.sentence(condition.lasted(at: now.monotonic).inSeconds)
            stillOpen[key] = condition
        }
        open = stillOpen
        return open.compactMap { trouble($0, $1, at: now.monotonic) }.sorted(by: Trouble.isWorse)
    }

    /// Returns true once every condition that has held since the first look is shown: before, no trouble does not mean
    /// that all is well.
    package func hasLookedLongEnough(at now: MonotonicTime) -> Bool {
        begin.map { now.duration(since: $0) >= Condition.longestPatience } ?? false
    }

    /// Returns the seconds until the spool is full at the rate of the last half hour, or of the outage of the trace backend; nil
    /// while it does not grow, or would not be full within 30 days.
    package func secondsUntilFull(_ spool: SpanPath.Spool) -> Double? { others.secondsUntilFull(spool) }

    /// Returns the trouble, or nil while the condition may pass by itself.
    private func trouble(_ key: TroubleKey, _ open: Open, at now: MonotonicTime) -> Trouble? {
        let lasted = open.lasted(at: now)
        guard lasted >= key.condition.patience else { return nil }
        let isFiring = lasted >= key.condition.duration
        return Trouble(
            condition: key.condition, queue: key.queue,
            severity: isFiring ? key.condition.severity : key.condition.severity.lower, isFiring: isFiring,
            sentence: open.sentence, since: open.since)
    }
}
