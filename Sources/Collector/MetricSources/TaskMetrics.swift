import Metrics
import Model
import Platform
import Synchronization
import WaitTime

/// The families computed from spans: the aggregator, behind its lock.
final class TaskMetrics: MetricSource {
    private let aggregator: Mutex<TaskAggregator>
    private let clock: Clock

    init(_ options: TaskAggregatorOptions, readyTimes: (any ReadyTimeSource)?, clock: Clock) {
        aggregator = Mutex(TaskAggregator(options, readyTimes: readyTimes))
        self.clock = clock
    }

    /// `areForwarded`: their traces can be opened, so they may be exemplars.
    /// Returns the waits that spans are to be made of.
    func observe(_ spans: [TaskSpan], in body: UnsafeRawBufferPointer, areForwarded: Bool) -> [KnownWait] {
        if spans.isEmpty { return [] }
        let now = clock.monotonic()
        let time = areForwarded ? clock.wall() : nil
        return aggregator.withLock { aggregator in
            aggregator.observe(spans, in: body, at: now, exemplarsAt: time)
            return aggregator.takeCollectedWaits()
        }
    }

    var duplicates: UInt64 { aggregator.withLock { $0.duplicates } }

    /// p50, p95 and p99 of the wait, by queue, over the window.
    var waitQuantiles: [QueueName: [Double]] {
        let now = clock.monotonic()
        let found = aggregator.withLock { $0.waitQuantilesByQueue(at: now) }
        return Dictionary(found.map { ($0.queue, $0.seconds) }) { first, _ in first }
    }

    func metricFamilies() -> [MetricFamily] {
        let now = clock.monotonic()
        return aggregator.withLock { aggregator in
            aggregator.expire(at: now)
            return aggregator.metricFamilies(at: now)
        }
    }
}
