import Metrics
package import Model

/// The label sets of a queue's own series, made once.
struct QueueLabels: Sendable {
    private static let reasons = UnknownWaitReason.allCases.map { addition("reason", $0.rawValue) }
    private static let runReasons = UnknownRunTimeReason.allCases.map { addition("reason", $0.rawValue) }
    private static let shares = waitQuantiles.map { addition("quantile", $0.description) }

    let queue: LabelSet

    init(_ name: LabelText) {
        queue = LabelSet([("queue", name)])
    }

    /// The labels of each reason, in their order.
    var unknown: some Sequence<LabelSet> { Self.reasons.lazy.map { queue.adding($0) } }
    var unknownRuns: some Sequence<LabelSet> { Self.runReasons.lazy.map { queue.adding($0) } }
    /// The labels of `waitQuantiles`.
    var quantiles: some Sequence<LabelSet> { Self.shares.lazy.map { queue.adding($0) } }

    private static func addition(_ name: String, _ value: String) -> LabelSet.Addition {
        LabelSet.Addition([name: LabelText(value)])
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

/// The series of one task type in one queue. Their labels stand once in memory.
struct TaskTypeSeries: Sendable {
    /// The bytes that it takes beside its labels, estimated: the histogram of waits with 150 native buckets and ten
    /// exemplars, and one of run times with as many.
    private static let bytes = 4096
    private static let bytesPerRunHistogram = 1536

    private static let statuses = TaskStatus.allCases.map { LabelSet.Addition(["status": LabelText($0.label)]) }
    private static let attempts = TaskStatus.allCases.flatMap { status in
        Attempt.allCases.map {
            LabelSet.Addition(["status": LabelText(status.label), "attempt": LabelText($0.label)])
        }
    }

    let labels: LabelSet
    var wait: Histogram
    /// The histograms by status; nil before the first run.
    private var processing: [Histogram?] = [nil, nil]
    /// The attempts by status and attempt.
    private var attempts: [UInt64] = [0, 0, 0, 0]
    /// The failures by error type; nil before the first.
    private(set) var failures: FailureCounts?

    init(labels: LabelSet, bounds: HistogramBounds) {
        self.labels = labels
        wait = Histogram(bounds)
    }

    /// The bytes that it takes in memory, estimated: one histogram of run times counted in.
    var bytes: Int {
        let others = max(0, runHistograms - 1) * Self.bytesPerRunHistogram
        return Self.bytes + labels.byteCount + others + (failures?.bytes ?? 0)
    }

    /// The number of histograms of run times.
    var runHistograms: Int { processing.count { $0 != nil } }

    /// Returns true if there was a run of this status.
    func hasRuns(_ status: TaskStatus) -> Bool { processing[status.rawValue] != nil }

    mutating func addRuns(_ status: TaskStatus, bounds: HistogramBounds) {
        processing[status.rawValue] = Histogram(bounds)
    }

    mutating func observe(processingSeconds: Double, _ status: TaskStatus, of origin: Exemplar.Origin?) {
        processing[status.rawValue]?.observe(processingSeconds, of: origin)
    }

    mutating func count(_ status: TaskStatus, _ attempt: Attempt) {
        attempts[status.rawValue * 2 + attempt.rawValue] += 1
    }

    /// Counts a failure. Returns false where the error type did not fit.
    mutating func countFailure(_ errorType: UnsafeRawBufferPointer, limit: Int, hasSpace: Bool) -> Bool {
        if failures == nil { failures = FailureCounts(labels: labels, limit: limit) }
        return failures?.count(errorType, hasSpace: hasSpace) ?? true
    }

    mutating func setErrorTypeLimit(_ limit: Int) { failures?.setLimit(limit) }

    /// The attempts since the start, those that failed among them, and the 95th percentiles of waits and run times in
    /// seconds.
    var summary: (attempts: UInt64, failed: UInt64, waitP95: Double?, runP95: Double?) {
        let failed = attempts[2...].reduce(0, +)
        // Most attempts complete; if none has, the failed ones tell.
        let runs = processing.lazy.compactMap { $0 }.first { $0.count > 0 }
        return (attempts[..<2].reduce(failed, +), failed, wait.quantile(0.95), runs?.quantile(0.95))
    }

    func addProcessing(to family: inout MetricFamily) {
        for (histogram, addition) in zip(processing, Self.statuses) {
            if let histogram { family.add(histogram, labels.adding(addition)) }
        }
    }

    /// Adds the attempts that there were.
    func addAttempts(to family: inout MetricFamily) {
        for (count, addition) in zip(attempts, Self.attempts) where count > 0 {
            family.add(count, labels.adding(addition))
        }
    }
}

/// The sums of a task type in one queue since the start.
package struct TaskTypeSummary: Sendable, Equatable {
    package let type: TaskType
    package let attempts: UInt64
    package let failed: UInt64
    /// The wait's 95th percentile in seconds; nil where none was measured.
    package let waitP95: Double?
    package let runP95: Double?
}

/// The series of one queue. A copy shares the storage with the original until that is observed into.
package struct QueueSeries: Sendable {
    /// The bytes that it takes beside its labels and its task types: two windows for quantiles, half of them in use, and its
    /// slowest waits.
    private static let bytes = 8192 + 1024

    let name: QueueName
    private let nameLabel: LabelText
    let labels: QueueLabels
    /// The bytes that it takes in memory, estimated.
    private(set) var bytes: Int
    private let hasTypes: Bool
    var types: BoundedTextTable
    /// The series by the number of the type in `types`; the first one is that of `_other`.
    var series: [TaskTypeSeries] = []
    var unknownWaits = [UInt64](repeating: 0, count: UnknownWaitReason.allCases.count)
    /// The number of failures counted under `_other`, because their error type did not fit.
    var errorTypeOverflows: UInt64 = 0
    var unknownRuns = [UInt64](repeating: 0, count: UnknownRunTimeReason.allCases.count)
    var window: QuantileWindow
    /// The run times of all attempts.
    var runs: QuantileWindow
    private var slowest = SlowestWaits()

    init(name: QueueName, label: LabelText, _ options: TaskAggregatorOptions) {
        self.name = name
        nameLabel = label
        labels = QueueLabels(label)
        bytes = Self.bytes + labels.queue.byteCount
        hasTypes = options.maxTaskTypes > 0
        types = BoundedTextTable(limit: max(1, options.maxTaskTypes))
        window = QuantileWindow(window: options.quantileWindow)
        runs = window
        addSeries(options.bounds)
    }

    /// Returns the number of a task's type; 0 when it is new and does not fit.
    mutating func number(
        ofType type: UnsafeRawBufferPointer, _ bounds: HistogramBounds, hasSpace: Bool
    ) -> Int {
        if !hasTypes || type.isEmpty { return unnamedNumber(bounds) }
        if let known = types.find(type) { return known }
        let number = types.number(of: type, hasSpace: hasSpace)
        if number == series.count { addSeries(bounds) }
        return number
    }

    private mutating func unnamedNumber(_ bounds: HistogramBounds) -> Int {
        let number = TaskAggregator.unnamed.bytes.withUnsafeBytes { types.number(of: $0) }
        if number == series.count { addSeries(bounds) }
        return number
    }

    /// The number of histograms of run times.
    var runHistograms: Int { series.reduce(0) { $0 + $1.runHistograms } }

    /// Changes a task type's series, and counts its bytes anew.
    mutating func update<Result>(_ type: Int, _ change: (inout TaskTypeSeries) -> Result) -> Result {
        let before = series[type].bytes
        defer { bytes += series[type].bytes - before }
        return change(&series[type])
    }

    mutating func setErrorTypeLimit(_ limit: Int) {
        for number in series.indices { series[number].setErrorTypeLimit(limit) }
    }

    package var queue: QueueName { name }

    /// The places of its task types in the order of the page. `_other` comes last, and only where a type did not fit.
    var places: Range<Int> { 0..<series.count - (types.refusals > 0 ? 0 : 1) }

    subscript(place place: Int) -> TaskTypeSeries {
        series[place + 1 < series.count ? place + 1 : BoundedTextTable.other]
    }

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

    /// Returns the p50, p95 and p99 of the waits in the window, in seconds; nil for a window without any.
    package func waitQuantiles(at now: MonotonicTime) -> [Double]? {
        var window = window
        return window.quantiles(WaitTime.waitQuantiles, at: now)
    }

    /// Counts a wait in the window; returns whether it is one of the slowest ones, which are recorded apart.
    mutating func observe(waitSeconds: Double, at now: MonotonicTime) -> Bool {
        window.observe(waitSeconds, at: now)
        return slowest.hasPlace(waitSeconds, at: now)
    }

    mutating func recordSlow(_ wait: SlowWait) { slowest.record(wait) }

    /// Returns the longest waits of the last quarter of an hour, the longest first.
    package func slowestWaits(at now: MonotonicTime) -> [SlowWait] { slowest.list(at: now) }

    /// Returns the number of waits since the start, and of those that were longer than an objective. Returns nil for an
    /// objective that is not the edge of a bucket.
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
        var labels = [(name: "queue", value: nameLabel)]
        if hasTypes { labels.append(("task_type", types.labels[series.count])) }
        series.append(TaskTypeSeries(labels: LabelSet(labels), bounds: bounds))
        bytes += series[series.count - 1].bytes
    }
}
