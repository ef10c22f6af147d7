package import Model

/// One queue at one moment, as Redis and spans tell of it.
package struct QueueReading: Sendable {
    package let name: QueueName
    /// The queue in Redis; nil where only spans name it.
    package var snapshot: QueueSnapshot?
    /// The wait's p50, p95 and p99 in seconds, and their origin.
    package var wait: [Double]?
    package var waitOrigin: WaitOrigin
    /// The waits since the start of the process; nil where none was measured.
    package var waits: WaitCounts?

    package init(
        name: QueueName, snapshot: QueueSnapshot?, wait: [Double]?, waitOrigin: WaitOrigin = .spans,
        waits: WaitCounts? = nil
    ) {
        self.name = name
        self.snapshot = snapshot
        self.wait = wait
        self.waitOrigin = waitOrigin
        self.waits = waits
    }

    /// Returns all queues that Redis or spans name, sorted.
    package static func all(_ snapshot: RedisSnapshot?, waits: [QueueName: MeasuredWaits]) -> [QueueReading] {
        let snapshots = Dictionary((snapshot?.queues ?? []).map { ($0.name, $0) }) { first, _ in first }
        let names = Set(snapshots.keys).union(waits.filter { $0.value.namesQueue }.keys)
        return names.sorted().map {
            QueueReading(
                name: $0, snapshot: snapshots[$0], wait: waits[$0]?.quantiles,
                waitOrigin: waits[$0]?.origin ?? .spans, waits: waits[$0]?.counts)
        }
    }
}

/// The origin of waits.
package enum WaitOrigin: String, Sendable {
    /// Every task that was run has told its own.
    case spans
    /// The look-ahead saw tasks leave the list of pending ones. Most of those that waited for less than
    /// `redis.look-interval` it did not see.
    case redis
}

/// The measured waits of a queue.
package struct MeasuredWaits: Sendable {
    /// The p50, p95 and p99 in seconds over the window of the quantiles; nil for a window without waits.
    package var quantiles: [Double]?
    package var origin: WaitOrigin
    /// The number of waits that spans told.
    package var counts: WaitCounts?

    package init(quantiles: [Double]?, origin: WaitOrigin = .spans, counts: WaitCounts? = nil) {
        self.quantiles = quantiles
        self.origin = origin
        self.counts = counts
    }

    /// True if the queue is known because spans have named it.
    fileprivate var namesQueue: Bool { quantiles != nil && origin == .spans }
}

/// The waits that were measured since the start of the process.
package struct WaitCounts: Sendable, Equatable {
    package var all: UInt64
    /// The number of waits that were longer than the objective.
    package var slow: UInt64

    package init(all: UInt64, slow: UInt64) {
        self.all = all
        self.slow = slow
    }
}
