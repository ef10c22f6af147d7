import Metrics
package import Model

/// The label sets of a queue's own series, made once.
final class QueueLabels: Sendable {
    /// By reason, in their order.
    let unknown: [LabelSet]
    let unknownRuns: [LabelSet]
    /// Of `waitQuantiles`.
    let quantiles: [LabelSet]

    init(_ name: QueueName) {
        unknown = UnknownWaitReason.allCases.map {
            LabelSet([("queue", name), ("reason", ForeignText($0.rawValue))])
        }
        unknownRuns = UnknownRunTimeReason.allCases.map {
            LabelSet([("queue", name), ("reason", ForeignText($0.rawValue))])
        }
        quantiles = waitQuantiles.map { LabelSet([("queue", name), ("quantile", ForeignText($0.description))]) }
    }
}

enum TaskStatus: Int, CaseIterable {
    case completed, failed

    var label: String { self == .completed ? "completed" : "failed" }
}

enum Attempt: Int, CaseIterable {
    case first, retry

    var label: String { self == .first ? "first" : "retry" }
}

/// The series of one task type in one queue.
struct TaskTypeSeries: Sendable {
    let waitLabels: LabelSet
    var wait: Histogram
    private let labels: [(name: String, value: ForeignText)]
    private var processing: [(labels: LabelSet, histogram: Histogram)?] = [nil, nil]
    private var attempts: [(labels: LabelSet, count: UInt64)?] = [nil, nil, nil, nil]
    /// nil before the first failure.
    private(set) var failures: FailureCounts?

    init(labels: [(name: String, value: ForeignText)], bounds: HistogramBounds) {
        self.labels = labels
        waitLabels = LabelSet(labels)
        wait = Histogram(bounds)
    }

    mutating func observe(
        processingSeconds: Double, _ status: TaskStatus, bounds: HistogramBounds, of origin: Exemplar.Origin?
    ) {
        let index = status.rawValue
        if processing[index] == nil {
            let labels = LabelSet(labels + [("status", ForeignText(status.label))])
            processing[index] = (labels, Histogram(bounds))
        }
        processing[index]?.histogram.observe(processingSeconds, of: origin)
    }

    mutating func count(_ status: TaskStatus, _ attempt: Attempt) {
        let index = status.rawValue * 2 + attempt.rawValue
        if attempts[index] == nil {
            let added = [("status", ForeignText(status.label)), ("attempt", ForeignText(attempt.label))]
            attempts[index] = (LabelSet(labels + added.map { (name: $0.0, value: $0.1) }), 0)
        }
        attempts[index]?.count += 1
    }

    /// Returns false where the error type found no room.
    mutating func countFailure(_ errorType: UnsafeRawBufferPointer, limit: Int) -> Bool {
        if failures == nil { failures = FailureCounts(labels: labels, limit: limit) }
        return failures?.count(errorType) ?? true
    }

    mutating func setErrorTypeLimit(_ limit: Int) { failures?.setLimit(limit) }

    /// Attempts since the start, those that failed among them, and the 95th percentiles of waits and run times in seconds.
    var summary: (attempts: UInt64, failed: UInt64, waitP95: Double?, runP95: Double?) {
        let failed = attempts[2...].reduce(0) { $0 + ($1?.count ?? 0) }
        // Most attempts complete; where none has, the failed ones tell.
        let runs = processing.lazy.compactMap { $0?.histogram }.first { $0.count > 0 }
        return (
            attempts[..<2].reduce(failed) { $0 + ($1?.count ?? 0) }, failed, wait.quantile(0.95), runs?.quantile(0.95)
        )
    }

    func addProcessing(to family: inout MetricFamily) {
        for entry in processing {
            if let entry { family.add(entry.histogram, entry.labels) }
        }
    }

    func addAttempts(to family: inout MetricFamily) {
        for entry in attempts {
            if let entry { family.add(entry.count, entry.labels) }
        }
    }
}

/// What is known of a task type in one queue since the start.
package struct TaskTypeSummary: Sendable, Equatable {
    package let type: TaskType
    package let attempts: UInt64
    package let failed: UInt64
    /// Seconds; nil where none was measured.
    package let waitP95: Double?
    package let runP95: Double?
}

/// The series of one queue. A copy shares the storage with the original until that is observed into.
package struct QueueSeries: Sendable {
    let name: QueueName
    let labels: QueueLabels
    private let hasTypes: Bool
    var types: BoundedTextTable
    /// By the number of the type in `types`; the first one is that of `_other`.
    var series: [TaskTypeSeries] = []
    var unknownWaits = [UInt64](repeating: 0, count: UnknownWaitReason.allCases.count)
    /// Failures counted under `_other`, because their error type found no room.
    var errorTypeOverflows: UInt64 = 0
    var unknownRuns = [UInt64](repeating: 0, count: UnknownRunTimeReason.allCases.count)
    var window: QuantileWindow
    /// Run times of all attempts.
    var runs: QuantileWindow

    init(name: QueueName, _ options: TaskAggregatorOptions) {
        self.name = name
        labels = QueueLabels(name)
        hasTypes = options.maxTaskTypes > 0
        types = BoundedTextTable(limit: max(1, options.maxTaskTypes))
        window = QuantileWindow(window: options.quantileWindow)
        runs = window
        addSeries(options.bounds)
    }

    /// The number of a task's type; 0 when it is new and there is no room.
    mutating func number(ofType type: UnsafeRawBufferPointer, _ bounds: HistogramBounds) -> Int {
        let number =
            hasTypes && !type.isEmpty
            ? types.number(of: type) : TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
        if number == series.count { addSeries(bounds) }
        return number
    }

    mutating func setErrorTypeLimit(_ limit: Int) {
        for number in series.indices { series[number].setErrorTypeLimit(limit) }
    }

    package var queue: QueueName { name }

    /// The task types that have had attempts, most first.
    package var taskTypes: [TaskTypeSummary] {
        series.indices.compactMap { number -> TaskTypeSummary? in
            let summary = series[number].summary
            guard summary.attempts > 0 else { return nil }
            return TaskTypeSummary(
                type: types.texts[number], attempts: summary.attempts, failed: summary.failed, waitP95: summary.waitP95,
                runP95: summary.runP95)
        }.sorted { $0.attempts > $1.attempts }
    }

    /// p50, p95 and p99 of the waits in the window, in seconds; nil where there was none.
    package func waitQuantiles(at now: MonotonicTime) -> [Double]? {
        var window = window
        return window.quantiles(WaitTime.waitQuantiles, at: now)
    }

    /// The waits since the start, and those that were longer than an objective; nil where it is no edge of a bucket.
    package func waits(longerThan objective: Double) -> (all: UInt64, longer: UInt64)? {
        guard let edge = series.first?.wait.bounds.values.firstIndex(of: objective) else { return nil }
        var (all, within): (UInt64, UInt64) = (0, 0)
        for type in series {
            let counts = type.wait.counts
            all += counts.reduce(0, +)
            within += counts.prefix(edge + 1).reduce(0, +)
        }
        return (all, all - within)
    }

    private mutating func addSeries(_ bounds: HistogramBounds) {
        var labels = [(name: "queue", value: name)]
        if hasTypes { labels.append(("task_type", types.texts[series.count])) }
        series.append(TaskTypeSeries(labels: labels, bounds: bounds))
    }
}
