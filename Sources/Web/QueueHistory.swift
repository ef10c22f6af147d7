package import Model
import Synchronization

/// How queues fared in the last ten minutes, for the sparklines of the status page: a point every ten seconds.
package final class QueueHistory: Sendable {
    package static let intervalSeconds: Int64 = 10
    static let maxPoints = 60
    /// The first ones by name; others have no sparkline.
    static let maxQueues = 200

    package struct Point: Equatable, Sendable {
        package let pending: Int64?
        package let waitP95: Double?
    }

    private let points = Mutex<[QueueName: [Point]]>([:])

    package init() {}

    /// Adds a point for each queue, and forgets queues that are gone.
    package func record(_ rows: [QueueRow]) {
        points.withLock { points in
            var present: [QueueName: [Point]] = [:]
            for row in rows.prefix(Self.maxQueues) {
                let point = Point(pending: row.snapshot?.size[.pending], waitP95: row.wait?[1])
                present[row.name] = ((points[row.name] ?? []) + [point]).suffix(Self.maxPoints)
            }
            points = present
        }
    }

    package var all: [QueueName: [Point]] { points.withLock { $0 } }
}
