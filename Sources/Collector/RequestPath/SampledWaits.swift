import AsynqRedis
import Metrics
import Model
import Platform
import Synchronization
import WaitTime

/// The waits that the look-ahead observes in Redis alone. The Redis thread fills them.
final class SampledWaits: Sendable {
    static let declaration = FamilyDeclaration(
        "asynq_queue_wait_sampled_seconds", .histogram, labels: ["queue"], with: "redis.look-ahead",
        """
        Wait of tasks seen to leave the pending list, from Redis alone. Waits shorter than the look interval are \
        mostly not seen. If it rises, add workers; for an SLO, let workers send spans.
        """)

    /// The number of queues that are remembered once they are gone from Redis, so that their counters go on when they
    /// return.
    private static let maxRemembered = 20_000

    private struct Queue {
        var histogram: Histogram
        /// The window; nil while it is empty, because it takes some kilobytes.
        var window: QuantileWindow?
    }

    private let bounds: HistogramBounds
    private let window: Duration
    private let clock: Clock
    private let known = Mutex<[QueueName: Queue]>([:])

    init(_ bounds: HistogramBounds, window: Duration, clock: Clock) {
        self.bounds = bounds
        self.window = window
        self.clock = clock
    }

    func observe(_ samples: [WaitSample]) {
        if samples.isEmpty { return }
        let now = clock.monotonic()
        known.withLock { known in
            for sample in samples {
                var queue = known.removeValue(forKey: sample.queue) ?? Queue(histogram: Histogram(bounds))
                queue.histogram.observe(sample.seconds)
                if queue.window == nil { queue.window = QuantileWindow(window: window) }
                queue.window?.observe(sample.seconds, at: now)
                known[sample.queue] = queue
            }
        }
    }

    /// The wait's p50, p95 and p99 over the window, of each queue that has samples in it.
    var quantiles: [QueueName: [Double]] {
        let now = clock.monotonic()
        return known.withLock { known in
            var found: [QueueName: [Double]] = [:]
            for name in Array(known.keys) { found[name] = known[name]?.window?.quantiles([0.5, 0.95, 0.99], at: now) }
            return found
        }
    }

    /// Returns the 95th percentile over the window; nil where nothing was sampled in it.
    func quantile95(of name: QueueName) -> Double? {
        let now = clock.monotonic()
        return known.withLock { $0[name]?.window?.quantiles([0.95], at: now)?.first }
    }

    /// Removes queues beyond the most, and windows in which nothing was sampled.
    func tidy(present queues: [QueueSnapshot]) {
        let now = clock.monotonic()
        known.withLock { known in
            if known.count > Self.maxRemembered, !queues.isEmpty {
                let present = Set(queues.map(\.name))
                known = known.filter { present.contains($0.key) }
            }
            for name in known.keys where known[name]?.window?.isEmpty(at: now) == true { known[name]?.window = nil }
        }
    }

    /// Returns one histogram for each queue, with zeros where nothing was observed yet. A queue that returns goes on
    /// where it was.
    func family(of queues: some Sequence<(name: QueueName, labels: LabelSet)>) -> MetricFamily {
        var family = MetricFamily(Self.declaration)
        let empty = Histogram(bounds)
        known.withLock { known in
            for (name, labels) in queues { family.add(known[name]?.histogram ?? empty, labels) }
        }
        return family
    }
}
