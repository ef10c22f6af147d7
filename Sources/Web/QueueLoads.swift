package import Model
import Synchronization

/// Measures how many tasks become ready to run, and how many are done, per queue, over a sliding window: from the
/// scrapes of Redis alone.
///
/// ```
/// arrivals  = attempts that ended + growth of (pending + active)
/// ```
/// because a task that becomes ready (enqueued, due, due again, aggregated) goes to `pending`, from there to `active`,
/// and leaves by the end of an attempt, which Asynq counts. A task that is deleted or archived by hand cancels an
/// arrival. A slice of the window in which more was cancelled than came is left out, so that a purge does not hide the
/// load.
package final class QueueLoads: Sendable {
    package struct Load: Equatable, Sendable {
        /// The tasks that became ready to run, per second; nil where more was cancelled than came in every slice of the
        /// window.
        package var arrivalsPerSecond: Double?
        /// The mean run time by Little's law, from the tasks that ran at a time and those that ended; nil where none
        /// ended.
        package var meanRunSeconds: Double?
    }

    /// The number of points kept of each queue: one for each sixth of the window, and the ends.
    private static let slices = 6

    private struct Point {
        let time: MonotonicTime
        /// The counter as it was read.
        let processed: Int64
        /// The number of attempts that ended since the first point.
        let ended: Int64
        /// The number of pending and active tasks.
        let open: Int64
        let active: Int64
        /// The number of active tasks, summed over the seconds since the first point.
        let activeSeconds: Double
    }

    private let window: Duration
    private let points = Mutex<[QueueName: [Point]]>([:])

    package init(window: Duration) {
        self.window = max(.nanoseconds(Self.slices), window)
    }

    /// Records what a scrape saw. Queues that it did not see, or not whole, begin anew.
    package func record(_ queues: [QueueSnapshot], at now: MonotonicTime) {
        points.withLock { points in
            var present: [QueueName: [Point]] = [:]
            for queue in queues {
                guard let processed = queue.processed, let pending = queue.size[.pending],
                    let active = queue.size[.active]
                else { continue }
                var kept = points[queue.name] ?? []
                // There is no earlier state, or one of another queue that had this name.
                if let last = kept.last,
                    RisingCounter.isReset(from: last.processed, to: processed) || now <= last.time
                {
                    kept = []
                }
                // A counter that falls a little is that of a replica that lagged, or of a restored snapshot: no attempt
                // ended, and those that it has forgotten are made again.
                let ended = kept.last.map { $0.ended &+ max(0, processed &- $0.processed) } ?? 0
                let passed = kept.last.map { now.seconds(since: $0.time) * Double($0.active) + $0.activeSeconds } ?? 0
                add(
                    Point(
                        time: now, processed: processed, ended: ended, open: pending &+ active, active: active,
                        activeSeconds: passed),
                    to: &kept)
                present[queue.name] = kept
            }
            points = present
        }
    }

    private func add(_ point: Point, to kept: inout [Point]) {
        let slice = window / Self.slices
        if kept.count >= 2, point.time.duration(since: kept[kept.count - 2].time) < slice { kept.removeLast() }
        kept.append(point)
        while kept.count > 2, point.time.duration(since: kept[1].time) >= window { kept.removeFirst() }
    }

    /// Returns the load; nil until two scrapes have seen the queue.
    package func load(of queue: QueueName) -> Load? {
        let kept = points.withLock { $0[queue] ?? [] }
        guard let first = kept.first, let last = kept.last, last.time > first.time else { return nil }
        let ended = Double(last.ended) - Double(first.ended)
        var arrivals = 0.0
        var seconds = 0.0
        for (before, after) in zip(kept, kept.dropFirst()) {
            let came = Double(after.ended) - Double(before.ended) + Double(after.open) - Double(before.open)
            guard came >= 0 else { continue }
            arrivals += came
            seconds += after.time.seconds(since: before.time)
        }
        return Load(
            arrivalsPerSecond: seconds > 0 ? arrivals / seconds : nil,
            meanRunSeconds: ended > 0 ? (last.activeSeconds - first.activeSeconds) / ended : nil)
    }
}
