import Model
import Text

/// Judges the queues. It remembers what neither a snapshot nor the history tells: pauses, and falls of the number of
/// overdue tasks.
struct QueueMemory: Sendable {
    private struct Pause {
        /// The time in the queue's key in Redis; nil where the key holds none.
        let pausedAt: WallTime?
        /// The time at which the queue was first seen paused, and for how long it had been so by then.
        let found: (at: MonotonicTime, after: Duration)
        /// The time at which the queue was last seen paused.
        var lastSeen: MonotonicTime
        /// True if it was seen without a waiting task.
        var wasEmpty = false
        var isOver = false

        func lasted(at now: MonotonicTime) -> Duration { now.duration(since: found.at) + found.after }
    }

    private struct Overdue {
        var count: Int64
        /// The time at which the number last fell, to 0 included.
        var lastFall: MonotonicTime?
    }

    /// The pauses of the last hour.
    private var pauses: [QueueName: Pause] = [:]
    private var overdue: [TroubleKey: Overdue] = [:]

    mutating func judge(_ situation: Situation, history: QueueHistory, into findings: inout Findings) {
        let now = situation.now.monotonic
        let queues = situation.rows.map { $0.snapshot ?? QueueSnapshot(name: $0.name) }
        let redisNow = situation.now.wall.advanced(by: situation.redis.snapshot?.clockOffset ?? .zero)
        record(queues, at: now, redisNow: redisNow)
        UnreadableQueues(queues: queues).judge(&findings)
        let served = situation.redis.snapshot.flatMap(ServedQueues.init)
        for queue in queues {
            let pause = pauses[queue.name]
            let view = QueueView(
                queue: queue, history: history, paused: pause?.lasted(at: now) ?? .zero,
                backlogBefore: pause.map { $0.wasEmpty ? .zero : $0.lasted(at: now) } ?? .zero,
                sincePause: queue.isPaused == true ? .zero : pause.map { now.duration(since: $0.lastSeen) },
                redisNow: redisNow, workers: served?[queue.name], commonestError: situation.commonestErrors[queue.name])
            view.judge(&findings)
            judgeOverdue(queue, at: now, redisNow: redisNow, &findings)
        }
    }

    /// - Parameter redisNow: The moment by Redis' clock, with which stamps of clients are compared.
    private mutating func record(_ queues: [QueueSnapshot], at now: MonotonicTime, redisNow: WallTime) {
        let present = Set(queues.map(\.name))
        pauses = pauses.filter {
            present.contains($0.key) && now.duration(since: $0.value.lastSeen) <= Thresholds.budgetPause
        }
        overdue = overdue.filter { key, _ in key.queue.map(present.contains) ?? false }
        for queue in queues {
            switch queue.isPaused {
            case true?:
                // Another stamp belongs to another pause.
                let last = pauses[queue.name].flatMap { $0.isOver || $0.pausedAt != queue.pausedAt ? nil : $0 }
                let before = queue.pausedAt.map { max(.zero, redisNow.duration(since: $0)) } ?? .zero
                var pause = last ?? Pause(pausedAt: queue.pausedAt, found: (now, before), lastSeen: now)
                pause.lastSeen = now
                if queue.readyTasks == 0 { pause.wasEmpty = true }
                pauses[queue.name] = pause
            case false?: pauses[queue.name]?.isOver = true
            case nil: break
            }
        }
    }

    private mutating func judgeOverdue(
        _ queue: QueueSnapshot, at now: MonotonicTime, redisNow: WallTime, _ findings: inout Findings
    ) {
        for state in [TaskState.scheduled, .retry] {
            let key = TroubleKey(condition: .overdueTasks, queue: queue.name, detail: state.rawValue)
            guard let count = queue.overdue[state] else {
                findings.judge(.overdueTasks, of: queue.name, detail: state.rawValue, holds: nil) { _ in "" }
                continue
            }
            var known = overdue[key] ?? Overdue(count: 0)
            if count < known.count { known.lastFall = now }
            known.count = count
            if let fall = known.lastFall, now.duration(since: fall) >= Thresholds.overdueFall { known.lastFall = nil }
            overdue[key] = count > 0 || known.lastFall != nil ? known : nil
            // A forwarder that lives empties the set every few seconds.
            let holds = count > 0 && known.lastFall == nil && queue.isPaused != true
            // The one that was due first tells for how long it has not been moved.
            let before = queue.overdueSince[state].map { max(.zero, redisNow.duration(since: $0)) } ?? .zero
            findings.judge(
                .overdueTasks, of: queue.name, detail: state.rawValue, holds: holds, before: before
            ) { seconds in
                let name = queue.name.shownName
                let tasks = humanCount(count, "\(state == .retry ? "retry" : "scheduled") task")
                return
                    "\(name): \(tasks) \(count == 1 ? "is" : "are") due, and no server has moved \(count == 1 ? "it" : "them") to pending "
                    + "for \(humanSpan(seconds))"
            }
        }
    }
}
