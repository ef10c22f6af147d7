import Model
import Text

/// Judges the queues. Remembers what neither a snapshot nor the history tells: pauses, and falls of the number of overdue
/// tasks.
struct QueueMemory: Sendable {
    private struct Pause {
        let begin: MonotonicTime
        /// When the queue was last seen paused.
        var lastSeen: MonotonicTime
        var isOver = false
    }

    private struct Overdue {
        var count: Int64
        /// When the number fell last, to 0 included.
        var lastFall: MonotonicTime?
    }

    /// The rule's range for falls of the number of overdue tasks.
    private static let fallWindow = Duration.seconds(5 * 60)

    /// Pauses of the last hour.
    private var pauses: [QueueName: Pause] = [:]
    private var overdue: [TroubleKey: Overdue] = [:]

    mutating func judge(_ situation: Situation, _ history: QueueHistory, _ findings: inout Findings) {
        let now = situation.now.monotonic
        let queues = situation.rows.map { $0.snapshot ?? QueueSnapshot(name: $0.name) }
        record(queues, at: now)
        let served = situation.redis.snapshot?.servers.map(ServedQueues.init)
        for queue in queues {
            let pause = pauses[queue.name]
            let view = QueueView(
                queue: queue, history: history, pausedSeconds: pause.map { now.seconds(since: $0.begin) },
                sincePause: queue.isPaused == true ? .zero : pause.map { now.duration(since: $0.lastSeen) },
                workers: served?[queue.name], commonestError: situation.commonestErrors[queue.name])
            view.judge(&findings)
            judgeOverdue(queue, at: now, &findings)
        }
    }

    private mutating func record(_ queues: [QueueSnapshot], at now: MonotonicTime) {
        let present = Set(queues.map(\.name))
        pauses = pauses.filter { present.contains($0.key) && now.duration(since: $0.value.lastSeen) <= .seconds(3600) }
        overdue = overdue.filter { key, _ in key.queue.map(present.contains) ?? false }
        for queue in queues {
            switch queue.isPaused {
            case true?:
                let last = pauses[queue.name].flatMap { $0.isOver ? nil : $0 }
                pauses[queue.name] = Pause(begin: last?.begin ?? now, lastSeen: now)
            case false?: pauses[queue.name]?.isOver = true
            case nil: break
            }
        }
    }

    private mutating func judgeOverdue(
        _ queue: QueueSnapshot, at now: MonotonicTime, _ findings: inout Findings
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
            if let fall = known.lastFall, now.duration(since: fall) >= Self.fallWindow { known.lastFall = nil }
            overdue[key] = count > 0 || known.lastFall != nil ? known : nil
            // A forwarder that lives empties the set every few seconds.
            let holds = count > 0 && known.lastFall == nil && queue.isPaused != true
            findings.judge(.overdueTasks, of: queue.name, detail: state.rawValue, holds: holds) { seconds in
                let name = queue.name.shown
                let tasks = humanCount(count, "\(state == .retry ? "retry" : "scheduled") task")
                return "\(name): \(tasks) \(count == 1 ? "is" : "are") due, and no server has moved them to pending "
                    + "for \(humanSpan(seconds))"
            }
        }
    }
}
