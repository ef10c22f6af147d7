package import Metrics
package import Model

/// The families computed from spans, put together queue by queue, in the order of the page.
package struct TaskFamilies {
    private static let declared = DeclaredTaskFamilies()

    package static let declarations = FamilyDeclaration.all(in: declared)

    private var wait = MetricFamily(Self.declared.waitDurationSeconds)
    private var quantile = MetricFamily(Self.declared.waitQuantileSeconds)
    private var processing = MetricFamily(Self.declared.processingDurationSeconds)
    private var attempts = MetricFamily(Self.declared.attemptsTotal)
    private var failures = MetricFamily(Self.declared.failuresTotal)
    private var unknown = MetricFamily(Self.declared.waitUnknownTotal)

    private var unknownRuns = MetricFamily(Self.declared.processingUnknownTotal)

    package init() {}

    package mutating func add(_ queue: QueueSeries, at now: MonotonicTime) {
        for series in queue.series.dropFirst() { add(series) }
        if queue.types.refusals > 0 { add(queue.series[BoundedTextTable.other]) }
        for (labels, count) in zip(queue.labels.unknown, queue.unknownWaits) { unknown.add(count, labels) }
        for (labels, count) in zip(queue.labels.unknownRuns, queue.unknownRuns) { unknownRuns.add(count, labels) }
        var window = queue.window
        if let seconds = window.quantiles(waitQuantiles, at: now) {
            for (labels, value) in zip(queue.labels.quantiles, seconds) { quantile.add(value, labels) }
        }
    }

    private mutating func add(_ series: TaskTypeSeries) {
        wait.add(series.wait, series.waitLabels)
        series.addProcessing(to: &processing)
        series.addAttempts(to: &attempts)
        series.failures?.add(to: &failures)
    }

    package var families: [MetricFamily] { [wait, quantile, processing, attempts, failures, unknown, unknownRuns] }
}

/// Their declarations.
struct DeclaredTaskFamilies: Sendable {
    let waitDurationSeconds = FamilyDeclaration(
        "asynq_task_wait_duration_seconds", .histogram, labels: ["queue", "task_type"],
        """
        Time from ready to run until a worker started the task (first attempts, and retries with an exact source); \
        rising: add workers, or find the tasks that keep them busy.
        """)
    let waitQuantileSeconds = FamilyDeclaration(
        "asynq_task_wait_quantile_seconds", .gauge, labels: ["queue", "quantile"],
        """
        Quantile of the wait over the sliding window, at most 5 % off; for a look and for autoscaling. Alert on \
        the histogram, whose quantiles can be summed over queues and instances.
        """)
    let processingDurationSeconds = FamilyDeclaration(
        "asynq_task_processing_duration_seconds", .histogram, labels: ["queue", "task_type", "status"],
        """
        Run time of one attempt, by its outcome; rising: the tasks or what they call became slower, and each \
        worker does less.
        """)
    let attemptsTotal = FamilyDeclaration(
        "asynq_task_attempts_total", .counter, labels: ["queue", "task_type", "status", "attempt"],
        """
        Attempts that workers reported by a process span; the share of failed ones is the failure ratio, that of \
        retries tells how much work is done again.
        """)
    let failuresTotal = FamilyDeclaration(
        "asynq_task_failures_total", .counter, labels: ["queue", "task_type", "error_type"],
        with: "metrics.error-types",
        """
        Failed attempts by what they failed with (error.type of the span, else the type in its last exception \
        event): the type that rises is the one to look for in traces and logs; _unknown, have the worker record \
        its errors.
        """)
    let waitUnknownTotal = FamilyDeclaration(
        "asynq_task_wait_unknown_total", .counter, labels: ["queue", "reason"],
        """
        Attempts whose wait is not known, by reason: where no_source grows, give the spans an enqueue stamp; where \
        clock_skew does, set the machines' clocks.
        """)
    let processingUnknownTotal = FamilyDeclaration(
        "asynq_task_processing_unknown_total", .counter, labels: ["queue", "reason"],
        """
        Attempts whose run time is not known, by reason: bad_stamp, look for workers that send spans without start \
        or end; clock_skew, for one whose clock was set back under its tasks.
        """)
}
