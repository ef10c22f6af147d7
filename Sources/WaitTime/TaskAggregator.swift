package import Metrics
package import Model

package struct TaskAggregatorOptions: Sendable {
    /// Upper bounds of the wait and processing histograms, in seconds.
    package var bounds: HistogramBounds
    /// Distinct task types per queue before `_other`; 0 leaves the label out.
    package var maxTaskTypes: Int
    /// Distinct queues that only spans name before `_other`.
    package var maxQueues: Int
    package var quantileWindowNanoseconds: UInt64
    /// Open producers, and open consumers, that wait for each other.
    package var pairingCapacity = 100_000
    package var pairingLifetimeNanoseconds: UInt64 = 2 * 3600 * 1_000_000_000
    /// Process spans remembered to tell a repeated one.
    package var duplicateMemory = 100_000
    /// Whether `observe` says which waits it has found.
    package var collectsWaits = false

    package init(bounds: HistogramBounds, maxTaskTypes: Int, maxQueues: Int, quantileWindowNanoseconds: UInt64) {
        self.bounds = bounds
        self.maxTaskTypes = maxTaskTypes
        self.maxQueues = maxQueues
        self.quantileWindowNanoseconds = quantileWindowNanoseconds
    }
}

/// The quantiles that `asynq_task_wait_quantile_seconds` has.
package let waitQuantiles: [Double] = [0.5, 0.95, 0.99]

/// Turns task spans into waits, durations and counts. Pure and synchronous: it knows no socket and no clock, gets the
/// time as an argument, and its owner holds the lock.
package struct TaskAggregator: Sendable {
    static let other = ForeignTextTable.other
    static let unnamed = ForeignText("_unknown")
    /// The number that stands for `_other`.
    private static let overflow = -1

    private var options: TaskAggregatorOptions
    private var numbers: QueueNumbers
    private(set) var queues: [QueueSeries] = []
    private(set) var overflowQueue: QueueSeries?
    private var pairing: SpanPairing
    private var recent: RecentKeys<SpanReference>
    private let readyTimes: (any ReadyTimeSource)?
    private var collected: [KnownWait] = []
    private var slowest = SlowestWaits()
    /// Of queues that are gone.
    private var droppedTypeOverflows: UInt64 = 0
    /// Process spans that came again among the last 100,000.
    package private(set) var duplicates: UInt64 = 0

    package init(_ options: TaskAggregatorOptions, readyTimes: (any ReadyTimeSource)? = nil) {
        self.options = options
        self.readyTimes = readyTimes
        numbers = QueueNumbers(limit: max(1, options.maxQueues))
        pairing = SpanPairing(
            capacity: options.pairingCapacity, lifetimeNanoseconds: options.pairingLifetimeNanoseconds)
        recent = RecentKeys(capacity: options.duplicateMemory)
    }

    /// Takes the task spans of one accepted request; `body` is the request that they lie in. Given the time of day, the
    /// sampled ones among them become exemplars; without it, none does: their traces can't be found anywhere.
    package mutating func observe(
        _ spans: [TaskSpan], in body: UnsafeRawBufferPointer, at now: MonotonicTime, exemplarsAt time: WallTime? = nil
    ) {
        // Producers first: a task's producer knows better than its message in Redis, wherever in the request it stands.
        for span in spans where span.role == .produce { note(producer: span, in: body, at: now) }
        settlePaired(at: now, time)
        for span in spans where span.role == .process { observe(process: span, in: body, at: now, time) }
        expire(at: now)
    }

    /// Other bounds of queues and task types, from now on; series that are there stay. Whether there is a label for the type at
    /// all stays as well.
    package mutating func use(maxTaskTypes: Int, maxQueues: Int) {
        options.maxQueues = maxQueues
        numbers.limit = max(1, maxQueues)
        guard maxTaskTypes > 0, options.maxTaskTypes > 0 else { return }
        options.maxTaskTypes = maxTaskTypes
        for index in queues.indices { queues[index].types.limit = maxTaskTypes }
        overflowQueue?.types.limit = maxTaskTypes
    }

    /// Takes the queues that a good scrape of Redis saw. One that was there before and is not now is dropped once it had no span
    /// for the length of the quantile window; when it comes back, it begins anew.
    package mutating func use(_ queuesInRedis: QueuesInRedis, at now: MonotonicTime) {
        let window = options.quantileWindowNanoseconds
        for number in numbers.use(queuesInRedis, at: now, idleNanoseconds: window) {
            droppedTypeOverflows += queues[number].types.refusals
            queues[number] = makeQueue(QueueName([]))
        }
    }

    /// The waits found since the last call.
    package mutating func takeCollectedWaits() -> [KnownWait] {
        defer { collected = [] }
        return collected
    }

    /// Gives up what has waited too long for its producer. Called now and then even without spans.
    package mutating func expire(at now: MonotonicTime) {
        for consumer in pairing.expire(at: now) where isCurrent(consumer) {
            record(.unknown(consumer.otherwise), queue: consumer.queue, series: consumer.series, at: now)
        }
    }

    /// Whether its queue is still there.
    private func isCurrent(_ consumer: SpanPairing.Consumer) -> Bool {
        consumer.generation == numbers.generation(consumer.queue)
    }

    /// An unsampled span's trace is nowhere.
    private func origin(_ span: SpanReference, _ time: WallTime?) -> Exemplar.Origin? {
        span.isValid ? time.map { Exemplar.Origin(span: span, time: $0) } : nil
    }

    private mutating func note(producer span: TaskSpan, in body: UnsafeRawBufferPointer, at now: MonotonicTime) {
        // Without its end it says nothing of when the task was there.
        if span.endNanoseconds == 0 { return }
        let ready = max(span.endNanoseconds, WaitSource.dueNanoseconds(of: span, in: body))
        pairing.add(producer: span.reference, end: ready, isSampled: span.isSampled, at: now)
    }

    /// Those that have waited for their producer, and it has come.
    private mutating func settlePaired(at now: MonotonicTime, _ time: WallTime?) {
        for consumer in pairing.takePaired() {
            let found = pairing.latestProducer(
                parent: consumer.parent, link: consumer.link, moreLinks: consumer.moreLinks)
            guard let producer = found else { continue }
            let finding = WaitSource.wait(fromProducerEnd: producer.end, due: consumer.due, to: consumer.start)
            let origin = origin(consumer.exemplar, time)
            if isCurrent(consumer) {
                record(finding, queue: consumer.queue, series: consumer.series, at: now, of: origin)
            }
            if case .known(let seconds) = finding, let attempt = consumer.attempt, producer.isSampled {
                collected.append(KnownWait(attempt: attempt, producer: producer.reference, seconds: seconds))
            }
        }
    }

    private mutating func observe(
        process span: TaskSpan, in body: UnsafeRawBufferPointer, at now: MonotonicTime, _ time: WallTime?
    ) {
        guard recent.insert(span.reference) else {
            duplicates += 1
            return
        }
        let queue = queueIndex(span.queue, in: body, at: now)
        let series = seriesIndex(span.taskType, in: body, queue: queue)
        let status: TaskStatus = span.isError ? .failed : .completed
        let attempt: Attempt = WaitSource.retryCount(of: span, in: body) > 0 ? .retry : .first
        let bounds = options.bounds
        let origin = origin(span.isSampled ? span.forwarded : .none, time)
        let run = RunTime(span)
        withSeries(queue, series) { series in
            series.count(status, attempt)
            if case .known(let seconds) = run {
                series.observe(processingSeconds: seconds, status, bounds: bounds, of: origin)
            }
        }
        withQueue(queue) { queue in
            switch run {
            case .known(let seconds): queue.runs.observe(seconds, at: now)
            case .unknown(let reason): queue.unknownRuns[UnknownRunTimeReason.allCases.firstIndex(of: reason) ?? 0] += 1
            }
        }
        let (wait, producer) = waitOf(span, in: body, queue: queue, series: series, at: now)
        record(wait, queue: queue, series: series, at: now, of: origin)
        if case .known(let seconds) = wait, collects(span), let producer {
            let attempt = knownAttempt(span, in: body, queue: queue, series: series)
            collected.append(KnownWait(attempt: attempt, producer: producer, seconds: seconds))
        }
    }

    private func knownAttempt(
        _ span: TaskSpan, in body: UnsafeRawBufferPointer, queue: Int, series: Int
    ) -> KnownWait.Attempt {
        let (queue, type) = names(queue, series)
        return KnownWait.Attempt(
            span, in: body, queue: queue, type: type == Self.unnamed ? TaskType([]) : type ?? Self.other)
    }

    /// As the tables have them; no type: it found no room.
    private func names(_ queue: Int, _ series: Int) -> (queue: QueueName, type: TaskType?) {
        let found = queue >= 0 ? queues[queue] : overflowQueue
        return (found?.name ?? Self.other, series >= 0 ? found?.types.texts[series] : nil)
    }

    /// Of an unsampled span nothing is in the trace backend.
    private func collects(_ span: TaskSpan) -> Bool {
        options.collectsWaits && span.isSampled && span.startNanoseconds > 0
    }

    /// The wait, and the span that put the task into its queue, if that is known and sampled.
    private mutating func waitOf(
        _ span: TaskSpan, in body: UnsafeRawBufferPointer, queue: Int, series: Int, at now: MonotonicTime
    ) -> (WaitFinding, producer: SpanReference?) {
        let finding = WaitSource.find(span, in: body, seen: readyTimes)
        let otherwise: UnknownWaitReason
        switch finding {
        case .needsProducer(let reason): otherwise = reason
        case .unknown(.noSource), .unknown(.badStamp):
            return (WaitSource.stored(span, in: body, seen: readyTimes) ?? finding, span.likelyProducer)
        default:
            // Whether anybody asks where it comes from or not: its producers wait for it no longer.
            let seen = latestProducer(of: span)
            if !options.collectsWaits { return (finding, nil) }
            return (finding, seen.map { $0.isSampled ? $0.reference : nil } ?? span.likelyProducer)
        }
        pairing.noteNeed(at: now)
        let due = WaitSource.dueNanoseconds(of: span, in: body)
        if let producer = latestProducer(of: span) {
            var wait = WaitSource.wait(fromProducerEnd: producer.end, due: due, to: span.startNanoseconds)
            if wait == .unknown(.badStamp) { wait = WaitSource.stored(span, in: body, seen: readyTimes) ?? wait }
            return (wait, producer.isSampled ? producer.reference : nil)
        }
        // Its producer may never come, or in hours.
        if let stored = WaitSource.stored(span, in: body, seen: readyTimes) { return (stored, span.likelyProducer) }
        pairing.add(
            SpanPairing.Consumer(
                queue: queue, generation: numbers.generation(queue), series: series, start: span.startNanoseconds,
                due: due,
                otherwise: otherwise, parent: span.parentReference, link: span.link,
                moreLinks: span.moreLinks, arrival: now,
                attempt: collects(span) ? knownAttempt(span, in: body, queue: queue, series: series) : nil,
                exemplar: span.isSampled ? span.forwarded : .none))
        return (finding, nil)
    }

    private mutating func latestProducer(
        of span: TaskSpan
    ) -> (reference: SpanReference, end: UInt64, isSampled: Bool)? {
        pairing.latestProducer(parent: span.parentReference, link: span.link, moreLinks: span.moreLinks)
    }

    private mutating func record(
        _ finding: WaitFinding, queue: Int, series: Int, at now: MonotonicTime, of origin: Exemplar.Origin? = nil
    ) {
        switch finding {
        case .known(let seconds):
            withSeries(queue, series) { $0.wait.observe(seconds, of: origin) }
            withQueue(queue) { $0.window.observe(seconds, at: now) }
            if slowest.hasPlace(seconds, at: now) { noteSlow(seconds, queue, series, at: now, origin?.span) }
        case .unknown(let reason):
            withQueue(queue) { $0.unknownWaits[UnknownWaitReason.allCases.firstIndex(of: reason) ?? 0] += 1 }
        case .needsProducer: break
        }
    }

    private mutating func noteSlow(
        _ seconds: Double, _ queue: Int, _ series: Int, at now: MonotonicTime, _ span: SpanReference?
    ) {
        let (queue, type) = names(queue, series)
        slowest.note(
            SlowWait(
                seconds: seconds, queue: queue, type: type == Self.unnamed ? nil : type, span: span, observedAt: now))
    }

    /// The longest waits of the last quarter of an hour, the longest first.
    package func slowestWaits(at now: MonotonicTime) -> [SlowWait] { slowest.list(at: now) }

    // MARK: Finding the series

    private mutating func queueIndex(
        _ name: ByteRange, in body: UnsafeRawBufferPointer, at now: MonotonicTime
    ) -> Int {
        let number =
            name.isEmpty
            ? Self.unnamed.bytes.withUnsafeBytes { numbers.number(of: $0, at: now) }
            : numbers.number(of: name.bytes(in: body), at: now)
        guard let number else {
            if overflowQueue == nil { overflowQueue = makeQueue(Self.other) }
            return Self.overflow
        }
        if number.isNew {
            let queue = makeQueue(numbers.text(number.index))
            if number.index == queues.count { queues.append(queue) } else { queues[number.index] = queue }
        }
        return number.index
    }

    private func makeQueue(_ name: QueueName) -> QueueSeries {
        QueueSeries(
            name: name, maxTypes: options.maxTaskTypes, windowNanoseconds: options.quantileWindowNanoseconds)
    }

    private mutating func seriesIndex(_ type: ByteRange, in body: UnsafeRawBufferPointer, queue: Int) -> Int {
        let bounds = options.bounds
        let hasTypes = options.maxTaskTypes > 0
        var found = Self.overflow
        withQueue(queue) { queue in
            let isNamed = hasTypes && !type.isEmpty
            let index =
                isNamed
                ? queue.types.index(of: type.bytes(in: body))
                : Self.unnamed.bytes.withUnsafeBytes { queue.types.index(of: $0) }
            var labels = [(name: "queue", value: queue.name)]
            if hasTypes { labels.append(("task_type", index.map { queue.types.texts[$0] } ?? Self.other)) }
            if let index, index == queue.series.count {
                queue.series.append(TaskTypeSeries(labels: labels, bounds: bounds))
            } else if index == nil && queue.other == nil {
                queue.other = TaskTypeSeries(labels: labels, bounds: bounds)
            }
            found = index ?? Self.overflow
        }
        return found
    }

    mutating func withQueue(_ index: Int, _ body: (inout QueueSeries) -> Void) {
        if index >= 0 {
            body(&queues[index])
        } else if var queue = overflowQueue {
            overflowQueue = nil
            body(&queue)
            overflowQueue = queue
        }
    }

    private mutating func withSeries(_ queue: Int, _ series: Int, _ body: (inout TaskTypeSeries) -> Void) {
        withQueue(queue) { queue in
            if series >= 0 {
                body(&queue.series[series])
            } else if var other = queue.other {
                queue.other = nil
                body(&other)
                queue.other = other
            }
        }
    }

    // MARK: What it knows

    /// Numbers that queues have, or had; without `_other`, which has none.
    package var queueCount: Int { queues.count }

    /// nil where the queue is gone.
    package func queue(at index: Int) -> QueueSeries? {
        numbers.isTaken(index) ? queues[index] : nil
    }

    /// `_other`; nil where all queues have found room.
    package var otherQueue: QueueSeries? { overflowQueue }

    /// p50, p95 and p99 of each queue's waits in the window, in seconds; queues without a wait in it are left out.
    package func waitQuantilesByQueue(at now: MonotonicTime) -> [(queue: QueueName, seconds: [Double])] {
        ((0..<queueCount).map { queue(at: $0) } + [otherQueue]).compactMap { found in
            guard var queue = found, let seconds = queue.window.quantiles(waitQuantiles, at: now) else { return nil }
            return (queue.name, seconds)
        }
    }

    /// The 95th percentiles in the window of the waits and the run times of a queue's attempts, in seconds; nil where there
    /// are none.
    package func quantiles95(of name: QueueName, at now: MonotonicTime) -> (wait: Double?, run: Double?) {
        guard let number = numbers.find(name) else { return (nil, nil) }
        var queue = queues[number]
        return (queue.window.quantiles([0.95], at: now)?.first, queue.runs.quantiles([0.95], at: now)?.first)
    }

    /// What its bounds have cost so far.
    package var limits: AggregatorLimits {
        var limits = AggregatorLimits()
        limits.openProducers = pairing.openProducers
        limits.openConsumers = pairing.openConsumers
        limits.evictedProducers = pairing.evictedProducers
        limits.evictedConsumers = pairing.evictedConsumers
        limits.queueOverflows = numbers.refusals
        let overflows = droppedTypeOverflows + (overflowQueue?.types.refusals ?? 0)
        limits.typeOverflows = queues.reduce(overflows) { $0 + $1.types.refusals }
        return limits
    }
}

extension TaskSpan {
    fileprivate var parentReference: SpanReference {
        parent.isValid ? SpanReference(trace: reference.trace, span: parent) : .none
    }

    /// Where neither has been seen: a link says where a message comes from, a parent may be any span around. nil where its
    /// trace was not sampled.
    fileprivate var likelyProducer: SpanReference? {
        if link.isValid { return isLinkSampled ? link : nil }
        return parentReference.isValid ? parentReference : nil
    }
}

package struct AggregatorLimits: Sendable, Equatable {
    /// Spans whose other half has not come.
    package var openProducers = 0
    package var openConsumers = 0
    /// Such ones that were forgotten for lack of room.
    package var evictedProducers: UInt64 = 0
    package var evictedConsumers: UInt64 = 0
    /// Spans counted under `_other`, because their queue or their task type found no room.
    package var queueOverflows: UInt64 = 0
    package var typeOverflows: UInt64 = 0
}
