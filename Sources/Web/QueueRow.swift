package import Model

/// What the status page and the demo's table show of one queue.
package struct QueueRow: Sendable {
    package let name: QueueName
    package let snapshot: QueueSnapshot?
    /// The wait's p50, p95 and p99 in seconds.
    package let wait: [Double]?

    /// Returns all queues that Redis or spans name, sorted.
    package static func all(_ snapshot: RedisSnapshot?, waits: [QueueName: [Double]]) -> [QueueRow] {
        let snapshots = Dictionary((snapshot?.queues ?? []).map { ($0.name, $0) }) { first, _ in first }
        return Set(snapshots.keys).union(waits.keys).sorted().map {
            QueueRow(name: $0, snapshot: snapshots[$0], wait: waits[$0])
        }
    }
}
