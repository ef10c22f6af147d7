package import Model

/// The changes of a queue's pending tasks. The last minute tells where they are going, and five minutes tell whether
/// that is more than a burst.
package struct Backlog: Sendable, Equatable {
    private static let recent = Duration.seconds(60)
    private static let window = Duration.seconds(5 * 60)
    /// The least growth that counts. Fewer tasks come and go by chance.
    private static let leastGrowing: Int64 = 10

    /// The tasks per second by which the backlog grew in the last minute; negative while it shrinks.
    package let growthPerSecond: Double
    /// The number of tasks by which it grew in the last five minutes.
    let growth: Double
    package let pending: Int64

    /// Reads the history. Returns nil where the queue has been observed too briefly, or its size is unknown.
    package init?(of queue: QueueName, _ history: QueueHistory) {
        guard let last = history.last, let now = history.value(.pending, of: queue, at: last),
            let earliest = history.earliest(.pending, of: queue, within: Self.window), earliest.seconds > 0
        else { return nil }
        let minute = history.earliest(.pending, of: queue, within: Self.recent)
        // If a point of the history is longer than a minute, the longer window is used.
        let start = minute.flatMap { $0.seconds > 0 ? $0 : nil } ?? earliest
        growthPerSecond = (now - start.value) / start.seconds
        growth = now - earliest.value
        pending = Int64(Int(saturating: now))
    }

    /// The future of a backlog at the rate of the last minute.
    package enum Outlook: Sendable, Equatable {
        case drains(seconds: Double)
        case grows
        /// It neither shrinks nor clearly grows.
        case steady
    }

    package var outlook: Outlook {
        if pending == 0 { return .drains(seconds: 0) }
        if growthPerSecond < 0 { return .drains(seconds: Double(pending) / -growthPerSecond) }
        return growthPerSecond > 0 && pending >= Self.leastGrowing ? .grows : .steady
    }
}
