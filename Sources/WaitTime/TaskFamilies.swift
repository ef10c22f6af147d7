package import Metrics
package import Model

/// The families computed from spans, in the order of the page.
package enum TaskFamily: CaseIterable, Sendable {
    case wait, waitQuantile, processing, attempts, failures, waitUnknown, processingUnknown

    private static let declared = DeclaredTaskFamilies()

    package static let declarations = FamilyDeclaration.all(in: declared)

    var declaration: FamilyDeclaration {
        switch self {
        case .wait: Self.declared.waitDurationSeconds
        case .waitQuantile: Self.declared.waitQuantileSeconds
        case .processing: Self.declared.processingDurationSeconds
        case .attempts: Self.declared.attemptsTotal
        case .failures: Self.declared.failuresTotal
        case .waitUnknown: Self.declared.waitUnknownTotal
        case .processingUnknown: Self.declared.processingUnknownTotal
        }
    }

    /// True if it has series of each task type, and not of each queue only.
    var hasTypes: Bool {
        switch self {
        case .wait, .processing, .attempts, .failures: true
        case .waitQuantile, .waitUnknown, .processingUnknown: false
        }
    }

    /// Adds its samples of a queue, and of the task types in `places`.
    func add(_ queue: QueueSeries, _ places: Range<Int>, at now: MonotonicTime, to family: inout MetricFamily) {
        switch self {
        case .wait: for place in places { family.add(queue[place: place].wait, queue[place: place].labels) }
        case .processing: for place in places { queue[place: place].addProcessing(to: &family) }
        case .attempts: for place in places { queue[place: place].addAttempts(to: &family) }
        case .failures: for place in places { queue[place: place].failures?.add(to: &family) }
        case .waitQuantile:
            guard let seconds = queue.waitQuantiles(at: now) else { return }
            for (labels, value) in zip(queue.labels.quantiles, seconds) { family.add(value, labels) }
        case .waitUnknown:
            for (labels, count) in zip(queue.labels.unknown, queue.unknownWaits) { family.add(count, labels) }
        case .processingUnknown:
            for (labels, count) in zip(queue.labels.unknownRuns, queue.unknownRuns) { family.add(count, labels) }
        }
    }
}

/// The families computed from spans, all of them at once.
package struct TaskFamilies {
    package private(set) var families: [MetricFamily]

    /// - Parameter bucketStep: `TaskAggregator.bucketStep`
    package init(bucketStep: Int = 1) {
        families = TaskFamily.allCases.map { MetricFamily($0.declaration) }
        for index in families.indices { families[index].bucketStep = bucketStep }
    }

    package mutating func add(_ queue: QueueSeries, at now: MonotonicTime) {
        for (index, family) in TaskFamily.allCases.enumerated() {
            family.add(queue, queue.places, at: now, to: &families[index])
        }
    }
}

/// The position of a page among the families computed from spans.
package struct TaskPagePosition: Sendable {
    private var families = TaskFamily.allCases[...]
    private let numbers: [Int]
    private let bucketStep: Int
    private let now: MonotonicTime
    /// The next queue in `numbers`, and its next task type.
    private var queue = 0
    private var place = 0

    fileprivate init(numbers: [Int], bucketStep: Int, now: MonotonicTime) {
        self.numbers = numbers
        self.bucketStep = bucketStep
        self.now = now
    }

    /// The approximate number of series of a family that are taken at a time.
    private static let portion = 16

    /// Returns some more samples of a family; nil at the end.
    fileprivate mutating func next(of aggregator: TaskAggregator) -> MetricFamily? {
        while let kind = families.first {
            var family = MetricFamily(kind.declaration)
            family.bucketStep = bucketStep
            while queue < numbers.count && family.samples.count < Self.portion {
                add(kind, of: aggregator.queue(numbers[queue]), to: &family)
            }
            if queue == numbers.count {
                families.removeFirst()
                queue = 0
            }
            if !family.samples.isEmpty { return family }
        }
        return nil
    }

    private mutating func add(_ kind: TaskFamily, of series: QueueSeries?, to family: inout MetricFamily) {
        let end = series?.places.upperBound ?? 0
        if let series, place == 0 || place < end {
            let places = kind.hasTypes ? place..<min(end, place + Self.portion) : 0..<0
            kind.add(series, places, at: now, to: &family)
            place = kind.hasTypes ? places.upperBound : end
        }
        if place >= end {
            place = 0
            queue += 1
        }
    }
}

extension TaskAggregator {
    /// Returns the beginning of a page.
    package func beginPage(at now: MonotonicTime) -> TaskPagePosition {
        TaskPagePosition(numbers: queueNumbers, bucketStep: bucketStep, now: now)
    }

    /// Returns some more samples of a family, as they are now; nil at the end of the page.
    package func nextPortion(_ position: inout TaskPagePosition) -> MetricFamily? {
        position.next(of: self)
    }
}

/// The declarations of these families.
struct DeclaredTaskFamilies: Sendable {
    let waitDurationSeconds = FamilyDeclaration(
        "asynq_task_wait_duration_seconds", .histogram, labels: ["queue", "task_type"],
        """
        Time from ready to run until a worker started the task, of first attempts, and of retries with an exact \
        source. If it rises, add workers, or find the tasks that keep them busy.
        """)
    let waitQuantileSeconds = FamilyDeclaration(
        "asynq_task_wait_quantile_seconds", .gauge, labels: ["queue", "quantile"],
        """
        Quantile of the wait over the sliding window, at most 4.4 % off, for people and autoscaling. For alerts use the \
        histogram, which can be summed over queues and instances.
        """)
    let processingDurationSeconds = FamilyDeclaration(
        "asynq_task_processing_duration_seconds", .histogram, labels: ["queue", "task_type", "status"],
        """
        Run time of one attempt, by its outcome. If it rises, the tasks or what they call became slower, and each \
        worker does less.
        """)
    let attemptsTotal = FamilyDeclaration(
        "asynq_task_attempts_total", .counter, labels: ["queue", "task_type", "status", "attempt"],
        """
        Attempts that workers reported by a process span. The share of failed ones is the failure ratio; the share of \
        retries is repeated work.
        """)
    let failuresTotal = FamilyDeclaration(
        "asynq_task_failures_total", .counter, labels: ["queue", "task_type", "error_type"],
        with: "metrics.error-types",
        """
        Failed attempts by error type: error.type of the span, else the type in its last exception event. Search \
        traces and logs for the type that rises. _unknown: let the worker record its errors.
        """)
    let waitUnknownTotal = FamilyDeclaration(
        "asynq_task_wait_unknown_total", .counter, labels: ["queue", "reason"],
        """
        Attempts whose wait is unknown, by reason. If no_source grows, give the spans an enqueue stamp. If clock_skew \
        grows, set the machines' clocks.
        """)
    let processingUnknownTotal = FamilyDeclaration(
        "asynq_task_processing_unknown_total", .counter, labels: ["queue", "reason"],
        """
        Attempts whose run time is unknown, by reason. bad_stamp: workers send spans without start or end. clock_skew: \
        a clock was set back while tasks ran.
        """)
}
