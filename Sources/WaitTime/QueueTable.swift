import Metrics
import Model

/// Which series an attempt belongs to: the number of its queue, and within that of its task type.
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

/// The series of all queues by number. Queues without room share number 0, `_other`, and so do task types within each queue.
struct QueueTable {
    private var options: TaskAggregatorOptions
    private var numbers: QueueNumbers
    private(set) var queues: [QueueSeries]
    /// What queues that are gone have counted.
    private var droppedTypeOverflows: UInt64 = 0
    private var droppedErrorTypeOverflows: UInt64 = 0

    init(_ options: TaskAggregatorOptions) {
        self.options = options
        numbers = QueueNumbers(limit: max(1, options.maxQueues))
        queues = [QueueSeries(name: BoundedTextTable.otherText, options)]
    }

    /// The number of the series that a span counts in; a new one where there is room.
    mutating func number(
        of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, at now: MonotonicTime
    ) -> SeriesNumber {
        let (queue, isNew) =
            span.queue.isEmpty
            ? TaskAggregator.unnamed.bytes.withUnsafeBytes { numbers.number(of: $0, at: now) }
            : numbers.number(of: span.queue.bytes(in: body), at: now)
        if isNew {
            let series = QueueSeries(name: numbers.text(queue), options)
            if queue == queues.count { queues.append(series) } else { queues[queue] = series }
        }
        return SeriesNumber(
            queue: queue, type: queues[queue].number(ofType: span.taskType.bytes(in: body), options.bounds))
    }

    /// The queue's own series.
    subscript(queue: Int) -> QueueSeries {
        get { queues[queue] }
        _modify { yield &queues[queue] }
    }

    /// The series of one task type.
    subscript(number: SeriesNumber) -> TaskTypeSeries {
        get { queues[number.queue].series[number.type] }
        _modify { yield &queues[number.queue].series[number.type] }
    }

    /// Counts a failed attempt by what it failed with.
    mutating func countFailure(_ errorType: UnsafeRawBufferPointer, in number: SeriesNumber) {
        guard options.maxErrorTypes > 0 else { return }
        if !self[number].countFailure(errorType, limit: options.maxErrorTypes) {
            queues[number.queue].errorTypeOverflows += 1
        }
    }

    /// The names as the tables have them, so that many attempts share their texts.
    func names(of number: SeriesNumber) -> (queue: QueueName, type: TaskType) {
        (queues[number.queue].name, queues[number.queue].types.texts[number.type])
    }

    /// Counts up whenever the queue's number goes to another queue.
    func generation(of queue: Int) -> UInt32 { numbers.generation(queue) }

    // MARK: Limits

    /// Other bounds of queues, task types and error types, from now on; series that are there stay. Whether there is a label for
    /// the task type at all stays as well, and whether there are failures by error type.
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

    /// Takes over the queues that a good scrape of Redis saw. One that Redis does not know is dropped once it had no span for the
    /// length of the quantile window; when it comes back, it begins anew.
    mutating func recordQueuesInRedis(_ queuesInRedis: QueuesInRedis, at now: MonotonicTime) {
        for number in numbers.recordQueuesInRedis(queuesInRedis, at: now, idle: options.quantileWindow) {
            droppedTypeOverflows += queues[number].types.refusals
            droppedErrorTypeOverflows += queues[number].errorTypeOverflows
            queues[number] = QueueSeries(name: QueueName([]), options)
        }
    }

    /// Spans counted under `_other`, by the label that found no room.
    var overflows: (queues: UInt64, types: UInt64, errorTypes: UInt64) {
        (
            numbers.refusals, queues.reduce(droppedTypeOverflows) { $0 + $1.types.refusals },
            queues.reduce(droppedErrorTypeOverflows) { $0 + $1.errorTypeOverflows }
        )
    }

    // MARK: Reading

    /// The numbers that queues have or had, in the order of the page: `_other` comes last.
    var allNumbers: [Int] { Array(1..<queues.count) + [BoundedTextTable.other] }

    /// nil where the queue is gone, and for `_other` where all queues have found room.
    func queue(_ number: Int) -> QueueSeries? {
        let isThere = number == BoundedTextTable.other ? numbers.refusals > 0 : numbers.isTaken(number)
        return isThere ? queues[number] : nil
    }

    func find(_ name: QueueName) -> QueueSeries? { numbers.find(name).map { queues[$0] } }
}
