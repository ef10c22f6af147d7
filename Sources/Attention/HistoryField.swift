package import Model

/// The numbers that history keeps of a queue at each point, in the order in which they lie in memory.
package enum HistoryField: Int, CaseIterable, Sendable {
    /// The number of tasks by state, as the last scrape in the point saw them.
    case pending, active, scheduled, retry, archived, kept, aggregating
    /// The number of events within the point.
    case enqueued, completed, failed, deadLettered, waits, slowWaits
    /// The seconds of wait, as the last scrape in the point found them.
    case waitP50, waitP95, waitP99

    package static func tasks(in state: TaskState) -> HistoryField {
        switch state {
        case .pending: .pending
        case .active: .active
        case .scheduled: .scheduled
        case .retry: .retry
        case .archived: .archived
        case .completed: .kept
        case .aggregating: .aggregating
        }
    }

    static let waitQuantiles: [HistoryField] = [.waitP50, .waitP95, .waitP99]

    /// True for a number of events within the point; the others are readings.
    package var isCount: Bool {
        switch self {
        case .enqueued, .completed, .failed, .deadLettered, .waits, .slowWaits: true
        default: false
        }
    }

    /// Returns the value of two neighbouring points that are made one.
    func merged(_ earlier: Float, _ later: Float) -> Float {
        if earlier.isNaN { return later }
        if later.isNaN { return earlier }
        if isCount { return earlier + later }
        return Self.waitQuantiles.contains(self) ? max(earlier, later) : later
    }
}
