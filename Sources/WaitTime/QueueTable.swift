import Metrics
import Model

/// The series that an attempt belongs to: the number of its queue, and within that of its task type.
struct SeriesNumber: Equatable {
    private let queueNumber: Int32
    private let typeNumber: Int32

    init(queue: Int, type: Int) {
        queueNumber = Int32(queue)
        typeNumber = Int32(type)
    }

    var queue: Int { Int(queueNumber) }
    var type: Int { Int(typeNumber) }
}

/// The series of all queues by number. Queues that do not fit share number 0, `_other`, and so do task types within
/// each queue.
struct QueueTable {
    private var options: TaskAggregatorOptions
    private var numbers: QueueNumbers
    private(set) var queues: [QueueSeries]
    /// The overflows of queues that are gone.
    private var droppedTypeOverflows: UInt64 = 0
    private var droppedTypeCuts: UInt64 = 0
    private var droppedErrorTypeOverflows: UInt64 = 0
    /// The bytes that all queues take, estimated: labels, histograms, windows for quantiles.
    private(set) var bytes: Int

    init(_ options: TaskAggregatorOptions) {
        self.options = options
        numbers = QueueNumbers(limit: max(1, options.maxQueues))
        let other = BoundedTextTable.otherText
        queues = [QueueSeries(name: other, label: LabelText(other), options)]
        bytes = queues[0].bytes
    }

    private var hasSpace: Bool { bytes < options.maxSeriesBytes }

    /// Returns the number of the series that a span counts in; a new one where it fits.
    mutating func number(
        of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, at now: MonotonicTime
    ) -> SeriesNumber {
        let hasSpace = hasSpace
        let (queue, isNew) =
            span.queue.isEmpty
            ? TaskAggregator.unnamed.bytes.withUnsafeBytes { numbers.number(of: $0, at: now, hasSpace: hasSpace) }
            : numbers.number(of: span.queue.bytes(in: body), at: now, hasSpace: hasSpace)
        if isNew {
            let series = QueueSeries(name: numbers.text(queue), label: numbers.label(queue), options)
            if queue == queues.count {
                queues.append(series)
            } else {
                bytes -= queues[queue].bytes
                queues[queue] = series
            }
            bytes += series.bytes
        }
        let taskType = span.taskType.bytes(in: body)
        let type = resizing(queue) { $0.number(ofType: taskType, $1.bounds, hasSpace: hasSpace) }
        return SeriesNumber(queue: queue, type: type)
    }

    /// Changes a queue in a way that may take memory.
    private mutating func resizing<Result>(
        _ queue: Int, _ change: (inout QueueSeries, TaskAggregatorOptions) -> Result
    ) -> Result {
        let before = queues[queue].bytes
        defer { bytes += queues[queue].bytes - before }
        return change(&queues[queue], options)
    }

    /// Counts a run time.
    mutating func observe(
        processingSeconds: Double, _ status: TaskStatus, in number: SeriesNumber, of origin: Exemplar.Origin?
    ) {
        if !self[number].hasRuns(status) {
            resizing(number.queue) { queue, options in
                queue.update(number.type) { $0.addRuns(status, bounds: options.runBounds) }
            }
        }
        self[number].observe(processingSeconds: processingSeconds, status, of: origin)
    }

    /// Returns the queue's own series.
    subscript(queue: Int) -> QueueSeries {
        get { queues[queue] }
        _modify { yield &queues[queue] }
    }

    /// Returns the series of one task type.
    subscript(number: SeriesNumber) -> TaskTypeSeries {
        get { queues[number.queue].series[number.type] }
        _modify { yield &queues[number.queue].series[number.type] }
    }

    /// Counts a failed attempt by its error type.
    mutating func countFailure(_ errorType: UnsafeRawBufferPointer, in number: SeriesNumber) {
        guard options.maxErrorTypes > 0 else { return }
        let hasSpace = hasSpace
        resizing(number.queue) { queue, options in
            let hasPlace = queue.update(number.type) {
                $0.countFailure(errorType, limit: options.maxErrorTypes, hasSpace: hasSpace)
            }
            if !hasPlace { queue.errorTypeOverflows += 1 }
        }
    }

    /// Returns the names as the tables have them, so that many attempts share their texts.
    func names(of number: SeriesNumber) -> (queue: QueueName, type: TaskType) {
        (queues[number.queue].name, queues[number.queue].types.texts[number.type])
    }

    /// Returns a number that rises whenever the queue's number goes to another queue.
    func generation(of queue: Int) -> UInt32 { numbers.generation(queue) }

    // MARK: Limits

    /// Sets other bounds of queues, task types and error types, from now on. Existing series stay. Whether the label
    /// for the task type exists at all stays as well, and whether there are failures by error type.
    mutating func setLimits(maxTaskTypes: Int, maxQueues: Int, maxErrorTypes: Int) {
        options.maxQueues = maxQueues
        numbers.limit = max(1, maxQueues)
        if maxErrorTypes > 0 && options.maxErrorTypes > 0 {
            options.maxErrorTypes = maxErrorTypes
            for queue in queues.indices { queues[queue].setErrorTypeLimit(maxErrorTypes) }
        }
        guard maxTaskTypes > 0, options.maxTaskTypes > 0 else { return }
        options.maxTaskTypes = maxTaskTypes
        for queue in queues.indices { queues[queue].types.limit = maxTaskTypes }
    }

    /// Records the queues that a good scrape of Redis saw. A queue that Redis does not know is dropped once it had no
    /// span for the length of the quantile window. When it comes back, it begins anew.
    mutating func recordQueuesInRedis(_ queuesInRedis: QueuesInRedis, at now: MonotonicTime) {
        for number in numbers.recordQueuesInRedis(queuesInRedis, at: now, idle: options.quantileWindow) {
            droppedTypeOverflows += queues[number].types.refusals
            droppedTypeCuts += queues[number].types.cuts
            droppedErrorTypeOverflows += queues[number].errorTypeOverflows
            bytes -= queues[number].bytes
            queues[number] = QueueSeries(name: QueueName([]), label: LabelText(""), options)
            bytes += queues[number].bytes
        }
    }

    /// The number of spans counted under `_other`, by the label that did not fit.
    var overflows: (queues: UInt64, types: UInt64, errorTypes: UInt64) {
        (
            numbers.refusals, queues.reduce(droppedTypeOverflows) { $0 + $1.types.refusals },
            queues.reduce(droppedErrorTypeOverflows) { $0 + $1.errorTypeOverflows }
        )
    }

    /// The number of names that are longer than a label and were cut, each counted when it was new.
    var cuts: (queues: UInt64, types: UInt64) {
        (numbers.cuts, queues.reduce(droppedTypeCuts) { $0 + $1.types.cuts })
    }

    /// The step of the classic buckets on the page: 1, 2, 4 and so on. It bounds the series of the histograms by task
    /// type.
    var bucketStep: Int {
        let waits = queues.reduce(0) { $0 + $1.series.count - 1 }
        let runs = queues.reduce(0) { $0 + $1.runHistograms }
        var step = 1
        while step < max(options.bounds.values.count, options.runBounds.values.count) {
            let series =
                waits * options.bounds.seriesCount(step: step) + runs * options.runBounds.seriesCount(step: step)
            if series <= options.maxHistogramSeries { break }
            step *= 2
        }
        return step
    }

    // MARK: Reading

    /// The numbers that queues have or had, in the order of the page: `_other` comes last.
    var allNumbers: [Int] { Array(1..<queues.count) + [BoundedTextTable.other] }

    /// Returns a queue; nil where it is gone, and for `_other` where all queues have fit.
    func queue(_ number: Int) -> QueueSeries? {
        let isThere = number == BoundedTextTable.other ? numbers.refusals > 0 : numbers.isTaken(number)
        return isThere ? queues[number] : nil
    }

    func find(_ name: QueueName) -> QueueSeries? { numbers.find(name).map { queues[$0] } }
}
