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
        Waits of scheduled tasks that only process_at tells, so that they include up to five seconds of Asynq's \
        forwarder. If an objective of a few seconds suffers, set wait.process-at to false or raise redis.look-ahead.
        """)
    let pairingOpenSpans = FamilyDeclaration(
        "asynq_collector_pairing_open_spans", .gauge, labels: ["role"],
        """
        Spans whose other half has not come, for two hours at most: producers without the attempt, consumers without \
        the producer. If consumers rise, producers' spans go elsewhere; add an enqueue stamp to the consumers.
        """)
    let pairingEvictedSpansTotal = FamilyDeclaration(
        "asynq_collector_pairing_evicted_spans_total", .counter, labels: ["role"],
        """
        Spans forgotten for lack of memory before their other half came. The waits of their tasks count as no_source. \
        With an enqueue stamp on the spans, nothing has to be remembered.
        """)
    let startedEvictedAttemptsTotal = FamilyDeclaration(
        "asynq_collector_started_evicted_attempts_total", .counter,
        """
        Remembered attempts that were forgotten for lack of memory. They distinguish a first attempt from a repeated \
        one with the same retry count. It rises under load, and matters only if tasks come again after a long time.
        """)
    let labelOverflowsTotal = FamilyDeclaration(
        "asynq_collector_label_overflows_total", .counter, labels: ["label"],
        """
        Spans counted under _other: metrics.queues-max, metrics.task-types, metrics.error-types or the memory for \
        series is used up, or an error type has more than 256 bytes. Find the worker that puts ids into names, or \
        raise the limit. error: failures without a group in /api/v1/errors, because their texts differ too much.
        """)
    let cutLabelsTotal = FamilyDeclaration(
        "asynq_collector_cut_labels_total", .counter, labels: ["label"],
        """
        New names of more than 256 bytes, which were cut. Names with the same beginning then count as one. Look for \
        the worker that puts payloads into names.
        """)
    let bucketStep = FamilyDeclaration(
        "asynq_collector_bucket_step", .gauge,
        """
        At n, every nth classic bucket of the histograms by task type is on this page. Above 1, \
        metrics.histogram-series-max would be exceeded: raise it, or use native histograms.
        """)
}
