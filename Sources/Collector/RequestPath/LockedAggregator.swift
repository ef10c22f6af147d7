import Attention
import Metrics
import Model
import Platform
import Synchronization
import WaitTime

/// The aggregator of task spans behind its lock: the receiver feeds it, pages and autoscalers read it.
final class LockedAggregator: Sendable {
    private let aggregator: Mutex<TaskAggregator>
    private let clock: Clock

    init(_ options: TaskAggregatorOptions, clock: Clock) {
        aggregator = Mutex(TaskAggregator(options))
        self.clock = clock
    }

    /// The results of observing a request's task spans.
    struct Observation {
        /// The waits that spans are to be made of.
        var waits: [KnownWait] = []
        /// The spans that had come before although they were told a ready time.
        var repeated: [SpanReference] = []
        /// The failed attempts, without those that had come before.
        var failed: [TaskSpan] = []
    }

    /// Observes task spans. `areForwarded` says that their traces can be opened where metrics are looked at, so they
    /// may be exemplars.
    func observe(_ spans: [TaskSpan], in body: UnsafeRawBufferPointer, areForwarded: Bool) -> Observation {
        if spans.isEmpty { return Observation() }
        let now = clock.monotonic()
        let time = areForwarded ? clock.wall() : nil
        return aggregator.withLock { aggregator in
            aggregator.observe(spans, in: body, at: now, exemplarsAt: time)
            return Observation(
                waits: aggregator.takeCollectedWaits(), repeated: aggregator.takeRepeated(),
                failed: aggregator.takeFailed())
        }
    }

    func setLimits(maxTaskTypes: Int, maxQueues: Int, maxErrorTypes: Int) {
        aggregator.withLock {
            $0.setLimits(maxTaskTypes: maxTaskTypes, maxQueues: maxQueues, maxErrorTypes: maxErrorTypes)
        }
    }

    func recordQueuesInRedis(_ names: [QueueName]) {
        let queues = QueuesInRedis(names)
        let now = clock.monotonic()
        aggregator.withLock { $0.recordQueuesInRedis(queues, at: now) }
    }

    var slowestWaits: [SlowWait] {
        let now = clock.monotonic()
        return aggregator.withLock { $0.slowestWaits(at: now) }
    }

    var duplicates: UInt64 { aggregator.withLock { $0.duplicates } }
    var processAtWaits: UInt64 { aggregator.withLock { $0.processAtWaits } }
    /// The memory of spans by which later ones are told or paired.
    var tableBytes: Int {
        let bytes = aggregator.withLock { $0.tableBytes }
        return bytes.pairing.used + bytes.duplicates.used + bytes.startedAttempts.used
    }
    var cutNames: (queues: UInt64, types: UInt64) { aggregator.withLock { $0.cutNames } }
    var bucketStep: Int { aggregator.withLock { $0.bucketStep } }
    /// The bytes that queues, task types and error types take in memory, estimated.
    var seriesBytes: Int { aggregator.withLock { $0.seriesBytes } }
    var losses: AggregatorLosses { aggregator.withLock { $0.losses } }

    /// The measured waits of each queue.
    var measuredWaits: [QueueName: MeasuredWaits] {
        let now = clock.monotonic()
        var found: [QueueName: MeasuredWaits] = [:]
        forEachQueue(at: now) { queue in
            let counts = queue.waits(longerThan: Thresholds.objectiveSeconds)
            found[queue.queue] = MeasuredWaits(
                quantiles: queue.waitQuantiles(at: now), counts: counts.map { WaitCounts(all: $0.all, slow: $0.longer) }
            )
        }
        return found
    }

    /// Returns the same, with waits that were sampled in Redis for queues of which no span has told one lately.
    func measuredWaits(or sampled: SampledWaits) -> [QueueName: MeasuredWaits] {
        var found = measuredWaits
        for (name, quantiles) in sampled.quantiles where found[name]?.quantiles == nil {
            found[name] = MeasuredWaits(quantiles: quantiles, origin: .redis, counts: found[name]?.counts)
        }
        return found
    }

    /// Returns the task types and the slowest waits of a queue; none for a queue without spans.
    func details(of queue: QueueName) -> (taskTypes: [TaskTypeSummary], slowestWaits: [SlowWait]) {
        let now = clock.monotonic()
        let series = aggregator.withLock { $0.series(of: queue) }
        return (series?.taskTypes ?? [], series?.slowestWaits(at: now) ?? [])
    }

    /// Returns the 95th percentiles of a queue's waits and run times over the window.
    func quantiles95(of queue: QueueName) -> (wait: Double?, run: Double?) {
        let now = clock.monotonic()
        return aggregator.withLock { $0.quantiles95(of: queue, at: now) }
    }

    /// Calls `body` with the queues in the order of the page. The lock is held for one at a time, to take a reference
    /// to its numbers: spans don't wait for pages.
    func forEachQueue(at now: MonotonicTime, _ body: (QueueSeries) -> Void) {
        let numbers = aggregator.withLock { aggregator in
            aggregator.expire(at: now)
            return aggregator.queueNumbers
        }
        for number in numbers {
            if let queue = aggregator.withLock({ $0.queue(number) }) { body(queue) }
        }
    }

    func beginPage(at now: MonotonicTime) -> TaskPagePosition {
        aggregator.withLock { aggregator in
            aggregator.expire(at: now)
            return aggregator.beginPage(at: now)
        }
    }

    /// Returns some more samples of a page; nil at its end. The lock is held for these alone: spans don't wait for
    /// pages.
    func nextPortion(_ position: inout TaskPagePosition) -> MetricFamily? {
        aggregator.withLock { $0.nextPortion(&position) }
    }
}
