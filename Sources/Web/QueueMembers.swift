import Attention
import Model
import Text

/// The members that documents have of each queue.
struct QueueMembers {
    private let history: QueueHistory
    private let served: ServedQueues?
    /// The worst trouble of each queue.
    private let troubles: [QueueName: Trouble]

    init(_ content: OverviewContent) {
        history = content.history
        served = content.lastKnown.flatMap(ServedQueues.init)
        let named = content.troubles.lazy.compactMap { trouble in trouble.queue.map { ($0, trouble) } }
        troubles = Dictionary(named) { first, second in first.severity >= second.severity ? first : second }
    }

    func trouble(_ queue: QueueName) -> Severity? { troubles[queue]?.severity }

    /// Returns the workers; nil where they are unknown, since servers could not be read or only spans name the queue.
    func workers(_ row: QueueReading) -> ServedQueues.Workers? { row.snapshot == nil ? nil : served?[row.name] }

    /// The time until all pending tasks of a queue are started.
    private enum Drain {
        case after(seconds: Double)
        case never
        /// The backlog stays as it is: as many tasks come as are started.
        case steady
        case unknown
    }

    private func drain(of row: QueueReading) -> Drain {
        // Without a server nothing is started, whatever the last minute was like.
        if let pending = row.snapshot?.size[.pending], pending > 0, workers(row)?.consumers == 0 { return .never }
        switch Backlog(of: row.name, history)?.outlook {
        case .drains(let seconds): return .after(seconds: seconds)
        case .grows: return .never
        case .steady:
            let ended = [HistoryField.completed, .failed].compactMap { history.rate($0, of: row.name) }
            return ended.count == 2 && ended.allSatisfy { $0 == 0 } ? .never : .steady
        case nil: return .unknown
        }
    }

    /// Returns the time until all pending tasks of a queue are started, in the words of the page and of `top`.
    func drain(_ row: QueueReading) -> String {
        if row.snapshot?.isPaused == true { return "paused" }
        if row.snapshot?.size[.pending] == 0 { return "–" }
        return switch drain(of: row) {
        case .after(let seconds): humanSpan(seconds)
        case .never: "never"
        case .steady: "steady"
        case .unknown: "–"
        }
    }

    /// Returns the queues with the worst trouble first, else in their order.
    func worstFirst(_ rows: [QueueReading]) -> [QueueReading] {
        [Severity.critical, .warning, .info].flatMap { severity in rows.filter { trouble($0.name) == severity } }
            + rows.filter { troubles[$0.name] == nil }
    }

    func add(_ row: QueueReading, to writer: inout JSONWriter) {
        writer.addMembers(of: row)
        writer.add("trouble", trouble(row.name)?.rawValue)
        writer.add("trouble_sentence", troubles[row.name]?.sentence)
        writer.add("enqueued_per_second", rounded: history.rate(.enqueued, of: row.name))
        writer.add("completed_per_second", rounded: history.rate(.completed, of: row.name))
        writer.add("failed_per_second", rounded: history.rate(.failed, of: row.name))
        let (drains, seconds): (String, Double?) =
            switch drain(of: row) {
            case .after(let seconds): ("yes", seconds)
            case .never: ("no", nil)
            case .steady: ("steady", nil)
            case .unknown: ("unknown", nil)
            }
        writer.add("drain_seconds", rounded: seconds)
        writer.add("drains", drains)
        let workers = workers(row)
        writer.add("consumers", workers?.consumers)
        writer.add("concurrency", workers?.concurrency)
        writer.add("busy_workers", workers?.busy)
        writer.add("longest_running_seconds", rounded: row.snapshot?.longestRunning?.inSeconds)
    }
}
