import Model

/// Decides what needs attention. Pure: the moments come as arguments, and nothing is read but what it is given.
///
/// A condition that holds is open. It becomes a trouble once it has been open for its `patience`, and fires, which is to say
/// has its full severity, once it has been open for its `duration`. What can't be judged stays as it was: while Redis can't be
/// read, its troubles go on.
package struct Attention: Sendable {
    private struct Open {
        let since: (wall: WallTime, monotonic: MonotonicTime)
        var sentence: String
    }

    private var open: [TroubleKey: Open] = [:]
    private var queues = QueueMemory()
    private var others = OtherMemory()

    package init() {}

    /// Returns all troubles, the worst first.
    ///
    /// - Parameter history: what became of the queues that the situation has.
    package mutating func evaluate(_ situation: Situation, _ history: QueueHistory) -> [Trouble] {
        let now = situation.now
        var findings = Findings()
        others.judge(situation, &findings)
        if let snapshot = situation.redis.snapshot { others.judge(snapshot, situation, &findings) }
        let isUnread = if case .unread = situation.redis { true } else { false }
        if !isUnread { queues.judge(situation, history, &findings) }
        var stillOpen = open.filter { key, _ in
            findings.isUnknown(key) || (isUnread && key.condition.isReadFromRedis)
        }
        for (key, sentence) in findings.held {
            let since = open[key]?.since ?? now
            let seconds = now.monotonic.seconds(since: since.monotonic)
            stillOpen[key] = Open(since: since, sentence: sentence(seconds))
        }
        open = stillOpen
        return open.compactMap { trouble($0, $1, at: now.monotonic) }.sorted(by: Trouble.isWorse)
    }

    /// Returns when the spool is full at the rate of the last half hour; nil while it does not grow.
    package func secondsUntilFull(_ spool: SpanPath.Spool) -> Double? { others.secondsUntilFull(spool) }

    /// nil while it may pass by itself.
    private func trouble(_ key: TroubleKey, _ open: Open, at now: MonotonicTime) -> Trouble? {
        let lasted = now.duration(since: open.since.monotonic)
        guard lasted >= key.condition.patience else { return nil }
        let isFiring = lasted >= key.condition.duration
        return Trouble(
            condition: key.condition, queue: key.queue,
            severity: isFiring ? key.condition.severity : key.condition.severity.lower, isFiring: isFiring,
            sentence: open.sentence, since: open.since.wall)
    }
}
