import Attention
import Model
import Text

/// The points of the history that a document shows: those of the history, or several as one where they are too many.
struct HistoryWindow: Sendable, Equatable {
    /// The number of points of all queues in a document, a few numbers each.
    private static let maxPoints = 45_000
    private static let maxPointsPerQueue = 90

    /// The number of points of the history that are one here.
    let factor: Int
    /// The length of a point in seconds.
    let step: Double
    /// The points that are complete; empty before there are any.
    let groups: Range<Int>
    /// The beginning of the first point, and the end of the last one, in Unix seconds.
    let start: Int64
    let end: Int64

    /// - Parameters:
    ///   - since: The end of an earlier document. The window begins there where it has the same steps, else an hour
    ///     ago.
    ///   - maxPointsPerQueue: The number of points of one queue; its own document wants more.
    init(
        _ history: QueueHistory, now: (wall: WallTime, monotonic: MonotonicTime), since: Int64?,
        maxPointsPerQueue: Int? = nil
    ) {
        let steps = history.steps
        let most = maxPointsPerQueue ?? min(Self.maxPointsPerQueue, max(20, Self.maxPoints / max(1, history.count)))
        guard let begin = history.begin, let last = history.last else {
            (factor, step, groups) = (1, steps.seconds, 0..<0)
            (start, end) = (now.wall.wholeSeconds, now.wall.wholeSeconds)
            return
        }
        let first = max(steps.point(of: begin), last - Int(3600 / steps.seconds) + 1)
        var factor = 1
        while (last - first) / factor > most { factor *= 2 }
        let seconds = steps.seconds * Double(factor)
        let origin = now.wall.seconds - Double(now.monotonic.nanoseconds) / 1e9
        // The newest point is still open.
        var groups = first / factor..<max(first / factor, last / factor)
        if let since {
            let next = ((Double(since) - origin) / seconds).rounded()
            let isAligned = abs(Double(since) - origin - next * seconds) <= max(1, seconds / 8)
            if isAligned, next >= Double(groups.lowerBound), next <= Double(groups.upperBound) {
                groups = Int(next)..<groups.upperBound
            }
        }
        self.factor = factor
        self.step = seconds
        self.groups = groups
        start = Int64((origin + Double(groups.lowerBound) * seconds).rounded())
        end = Int64((origin + Double(groups.upperBound) * seconds).rounded())
    }

    func addMembers(to writer: inout JSONWriter) {
        writer.add("start", start)
        writer.add("end", end)
        writer.add("step", rounded: step)
        writer.add("points", Int64(groups.count))
    }

    func add(_ name: StaticString, _ field: HistoryField, of columns: QueueColumns?, to writer: inout JSONWriter) {
        writer.array(name) { writer in
            for group in groups {
                writer.element(
                    rounded: columns?.value(field, group: group, factor: factor, seconds: step))
            }
        }
    }
}
