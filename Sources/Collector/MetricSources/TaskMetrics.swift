import AsynqRedis
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

    func use(maxTaskTypes: Int, maxQueues: Int) {
        aggregator.withLock { $0.use(maxTaskTypes: maxTaskTypes, maxQueues: maxQueues) }
    }

    func use(_ names: [QueueName]) {
        let queues = QueuesInRedis(names)
        let now = clock.monotonic()
        aggregator.withLock { $0.use(queues, at: now) }
    }

    var slowestWaits: [SlowWait] {
        let now = clock.monotonic()
        return aggregator.withLock { $0.slowestWaits(at: now) }
    }

    var duplicates: UInt64 { aggregator.withLock { $0.duplicates } }

    /// p50, p95 and p99 of the wait, by queue, over the window.
    var waitQuantiles: [QueueName: [Double]] {
        let now = clock.monotonic()
        let found = aggregator.withLock { $0.waitQuantilesByQueue(at: now) }
        return Dictionary(found.map { ($0.queue, $0.seconds) }) { first, _ in first }
    }

    /// The 95th percentiles of a queue's waits and run times over the window.
    func quantiles95(of queue: QueueName) -> (wait: Double?, run: Double?) {
        let now = clock.monotonic()
        return aggregator.withLock { $0.quantiles95(of: queue, at: now) }
    }

    /// The lock is held for a queue at a time, to take a reference to its numbers: spans don't wait for pages.
    func metricFamilies() -> [MetricFamily] {
        let now = clock.monotonic()
        let count = aggregator.withLock { aggregator in
            aggregator.expire(at: now)
            return aggregator.queueCount
        }
        var page = TaskFamilies()
        for index in 0..<count {
            if let queue = aggregator.withLock({ $0.queue(at: index) }) { page.add(queue, at: now) }
        }
        // Not by a number behind the others': a queue that has come meanwhile may have that.
        if let other = aggregator.withLock({ $0.otherQueue }) { page.add(other, at: now) }
        return page.families + Self.families(of: aggregator.withLock { $0.limits })
    }

    private static func families(of limits: AggregatorLimits) -> [MetricFamily] {
        var open = MetricFamily(
            "asynq_collector_pairing_open_spans", .gauge,
            "Spans whose other half has not come (of a producer the attempt at its task, of a consumer its producer), for two "
                + "hours at most; rising consumers: their producers' spans go elsewhere, so give the consumers an enqueue stamp."
        )
        open.add(limits.openProducers, LabelSet(["role": "producer"]))
        open.add(limits.openConsumers, LabelSet(["role": "consumer"]))
        var evicted = MetricFamily(
            "asynq_collector_pairing_evicted_spans_total", .counter,
            "Spans forgotten for lack of room before their other half came; their tasks' waits count as no_source. Give the "
                + "spans an enqueue stamp: then nothing has to be remembered.")
        evicted.add(limits.evictedProducers, LabelSet(["role": "producer"]))
        evicted.add(limits.evictedConsumers, LabelSet(["role": "consumer"]))
        var overflows = MetricFamily(
            "asynq_collector_label_overflows_total", .counter,
            "Spans counted under _other, because metrics.queues-max or metrics.task-types was reached (or a name is longer than "
                + "1 KiB): raise the limit, or find who puts ids into names.")
        overflows.add(limits.queueOverflows, LabelSet(["label": "queue"]))
        overflows.add(limits.typeOverflows, LabelSet(["label": "task_type"]))
        return [open, evicted, overflows]
    }
}
