package import Model

/// How a queue's pending tasks come and go, over the last five minutes.
package struct Backlog: Sendable, Equatable {
    package static let window = Duration.seconds(5 * 60)

    /// Tasks per second by which the backlog grows; negative while it shrinks.
    package let growthPerSecond: Double
    package let pending: Int64

    /// nil where the queue has not been observed for so long, or its size is not known.
    package init?(of queue: QueueName, _ history: QueueHistory) {
        guard let last = history.last, let now = history.value(.pending, of: queue, at: last),
            let earlier = history.earliest(.pending, of: queue, within: Self.window), earlier.seconds > 0
        else { return nil }
        growthPerSecond = (now - earlier.value) / earlier.seconds
        pending = Int64(now)
    }

    /// Seconds until the backlog is empty at this rate; nil while it does not shrink.
    package var drainSeconds: Double? {
        if pending == 0 { return 0 }
        return growthPerSecond < 0 ? Double(pending) / -growthPerSecond : nil
    }
}
