import Metrics
import Model
import Platform
import WaitTime

/// The families computed from spans.
struct TaskMetrics: MetricSource {
    static let losses = LossFamilies()

    let aggregator: LockedAggregator
    let errors: RecentErrors
    let clock: Clock

    func metricFamilies() -> [MetricFamily] {
        let now = clock.monotonic()
        var page = TaskFamilies(bucketStep: aggregator.bucketStep)
        aggregator.forEachQueue(at: now) { page.add($0, at: now) }
        return page.families + ownFamilies()
    }

    func portions() -> FamilyPortions {
        var position = aggregator.beginPage(at: clock.monotonic())
        var own: [MetricFamily]?
        return AnyIterator {
            if let family = aggregator.nextPortion(&position) { return [family] }
            if own != nil { return nil }
            own = ownFamilies()
            return own
        }
    }

    private func ownFamilies() -> [MetricFamily] {
        var processAt = MetricFamily(Self.losses.processAtWaitsTotal)
        processAt.add(aggregator.processAtWaits)
        var cut = MetricFamily(Self.losses.cutLabelsTotal)
        let names = aggregator.cutNames
        cut.add(names.queues, LabelSet(["label": "queue"]))
        cut.add(names.types, LabelSet(["label": "task_type"]))
        return [processAt] + Self.families(of: aggregator.losses, errorsLeftOut: errors.leftOut)
            + [cut, MetricFamily(Self.losses.bucketStep, value: Double(aggregator.bucketStep))]
    }

    private static func families(of counts: AggregatorLosses, errorsLeftOut: UInt64) -> [MetricFamily] {
        var open = MetricFamily(losses.pairingOpenSpans)
        open.add(counts.openProducers, LabelSet(["role": "producer"]))
        open.add(counts.openConsumers, LabelSet(["role": "consumer"]))
        var evicted = MetricFamily(losses.pairingEvictedSpansTotal)
        evicted.add(counts.evictedProducers, LabelSet(["role": "producer"]))
        evicted.add(counts.evictedConsumers, LabelSet(["role": "consumer"]))
        var attempts = MetricFamily(losses.startedEvictedAttemptsTotal)
        attempts.add(counts.evictedAttempts)
        var overflows = MetricFamily(losses.labelOverflowsTotal)
        overflows.add(counts.queueOverflows, LabelSet(["label": "queue"]))
        overflows.add(counts.typeOverflows, LabelSet(["label": "task_type"]))
        overflows.add(counts.errorTypeOverflows, LabelSet(["label": "error_type"]))
        overflows.add(errorsLeftOut, LabelSet(["label": "error"]))
        return [open, evicted, attempts, overflows]
    }
}

/// The families of the aggregator's losses, and of waits that it knows only roughly.
struct LossFamilies: Sendable {
    let processAtWaitsTotal = FamilyDeclaration(
        "asynq_collector_process_at_waits_total", .counter,
        """
        Waits of scheduled tasks known from process_at only, so that they hold up to five seconds of Asynq's \
        forwarder; where an objective of a few seconds suffers, leave them out (wait.process-at) or raise \
        redis.look-ahead.
        """)
    let pairingOpenSpans = FamilyDeclaration(
        "asynq_collector_pairing_open_spans", .gauge, labels: ["role"],
        """
        Spans whose other half has not come (of a producer the attempt at its task, of a consumer its producer), \
        for two hours at most; rising consumers: their producers' spans go elsewhere, so give the consumers an \
        enqueue stamp.
        """)
    let pairingEvictedSpansTotal = FamilyDeclaration(
        "asynq_collector_pairing_evicted_spans_total", .counter, labels: ["role"],
        """
        Spans forgotten for lack of room before their other half came; their tasks' waits count as no_source. Give \
        the spans an enqueue stamp: then nothing has to be remembered.
        """)
    let startedEvictedAttemptsTotal = FamilyDeclaration(
        "asynq_collector_started_evicted_attempts_total", .counter,
        """
        Attempts forgotten for lack of room that were remembered to tell a task's first attempt from one that \
        comes again with the same retry count; it rises under load, and matters only where tasks come again after \
        long.
        """)
    let labelOverflowsTotal = FamilyDeclaration(
        "asynq_collector_label_overflows_total", .counter, labels: ["label"],
        """
        Spans counted under _other, because metrics.queues-max, metrics.task-types or metrics.error-types was \
        reached, or the memory for series is used up (or an error type is longer than 256 bytes): raise the limit, or \
        find the worker that puts ids into names. error: failures without a group of their own in /api/v1/errors, their \
        texts being too different.
        """)
    let cutLabelsTotal = FamilyDeclaration(
        "asynq_collector_cut_labels_total", .counter, labels: ["label"],
        """
        Names of more than 256 bytes that were cut, each counted when it was new; those that begin alike are one \
        from then on. Look for the worker that puts payloads into names.
        """)
    let bucketStep = FamilyDeclaration(
        "asynq_collector_bucket_step", .gauge,
        """
        Each so manyth classic bucket of the histograms by task type is on this page; above 1, they would have more \
        series than metrics.histogram-series-max: raise it, or have Prometheus take native histograms.
        """)
}
