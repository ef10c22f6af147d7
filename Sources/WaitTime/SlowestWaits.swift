package import Model

/// A wait that was long.
package struct SlowWait: Sendable, Equatable {
    package let seconds: Double
    package let queue: QueueName
    package let type: TaskType?
    /// The span of the attempt; nil where its trace can't be opened.
    package let span: SpanReference?
    package let observedAt: MonotonicTime
}

/// The longest waits of the last quarter of an hour, a few of them: of one queue, or of all.
struct SlowestWaits: Sendable {
    static let maxCount = 10
    static let kept = Duration.seconds(15 * 60)

    /// The waits, the longest first.
    private var waits: [SlowWait] = []
    private let keptNanoseconds = UInt64(clamping: kept.wholeNanoseconds)

    /// Returns true if a wait of this length has a place. It is asked for each wait, so that the others cost a
    /// comparison.
    func hasPlace(_ seconds: Double, at now: MonotonicTime) -> Bool {
        guard waits.count == Self.maxCount, let shortest = waits.last else { return true }
        return seconds > shortest.seconds || waits.contains { isOver($0, at: now) }
    }

    mutating func record(_ wait: SlowWait) {
        waits = list(at: wait.observedAt)
        let place = waits.firstIndex { $0.seconds < wait.seconds } ?? waits.count
        waits.insert(wait, at: place)
        if waits.count > Self.maxCount { waits.removeLast() }
    }

    func list(at now: MonotonicTime) -> [SlowWait] { waits.filter { !isOver($0, at: now) } }

    private func isOver(_ wait: SlowWait, at now: MonotonicTime) -> Bool {
        now.nanoseconds(since: wait.observedAt) > keptNanoseconds
    }
}
