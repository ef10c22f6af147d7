import Metrics
package import Model

/// The quantiles that `asynq_task_wait_quantile_seconds` has.
package let waitQuantiles: [Double] = [0.5, 0.95, 0.99]

/// Turns task spans into waits, durations and counts. It is pure and synchronous: it knows no socket, no clock and no
/// Redis. The time comes as an argument, what Redis knows of a task comes with its span, and the owner holds the lock.
package struct TaskAggregator: Sendable {
    /// The name of queues and types that spans leave out.
    static let unnamed = ForeignText("_unknown")

    private var table: QueueTable
    private var pairing: SpanPairing
    private var recent: RecentReferences
    private var started: StartedAttempts
    /// The attempts that are to be observed next.
    private var attempts: [StartedAttempts.Attempt] = []
    private let collectsWaits: Bool
    private let keepsTraces: Bool
    private let countsProcessAtWaits: Bool
    private var collected: [KnownWait] = []
    private var repeated: [SpanReference] = []
    private var failed: [TaskSpan] = []
    private var slowest = SlowestWaits()
    /// The number of process spans that repeat one of the last 100,000.
    package private(set) var duplicates: UInt64 = 0
    /// The number of waits that were known from `process_at` only.
    package private(set) var processAtWaits: UInt64 = 0

    package init(_ options: TaskAggregatorOptions) {
        table = QueueTable(options)
        pairing = SpanPairing(
            capacity: options.pairingCapacity, lifetime: options.pairingLifetime, keepsAttempts: options.collectsWaits)
        recent = RecentReferences(capacity: options.duplicateMemory)
        started = StartedAttempts(bytes: options.startedAttemptsBytes)
        collectsWaits = options.collectsWaits
        keepsTraces = options.keepsTraces
        countsProcessAtWaits = options.countsProcessAtWaits
    }

    /// Counts the task spans of one accepted request; `body` is the request that they lie in. Given the time of day,
    /// they become exemplars. Without it they do not: their traces can't be found anywhere.
    package mutating func observe(
        _ spans: [TaskSpan], in body: UnsafeRawBufferPointer, at now: MonotonicTime, exemplarsAt time: WallTime? = nil
    ) {
        // Producers come first: a task's producer knows better than its message in Redis, wherever in the request it
        // stands.
        let (producers, processes) = Self.divided(spans)
        // A span of memory gives spans without copying them.
        let spans = spans.span
        for chunk in Self.chunks(of: producers) {
            for index in chunk { pairing.prefetch(producer: spans[index].reference) }
            for index in chunk { add(producer: spans[index], in: body, at: now) }
        }
        settlePaired(at: now, time)
        for chunk in Self.chunks(of: processes) {
            attempts.removeAll(keepingCapacity: true)
            for index in chunk { prefetch(process: spans[index], in: body) }
            for index in chunk { pairing.prefetchFoundProducers(of: spans[index]) }
            for (index, attempt) in zip(chunk, attempts) {
                observe(process: spans[index], attempt, in: body, at: now, time)
            }
        }
        expire(at: now)
    }

    /// The number of spans for which memory is fetched at once. Their places in the tables are random, so that each
    /// would wait for memory several times; and what is fetched for so many still fits into a cache.
    private static let chunkCount = 64

    private static func chunks(of indices: [Int]) -> some Sequence<ArraySlice<Int>> {
        stride(from: 0, to: indices.count, by: chunkCount).lazy.map { indices[$0...].prefix(chunkCount) }
    }

    /// Returns the places of the producer spans, and those of the process spans in the order of their starts. In one
    /// request the first attempt at a task therefore comes first, which tells attempts from each other.
    private static func divided(_ array: [TaskSpan]) -> (producers: [Int], processes: [Int]) {
        var (producers, processes): ([Int], [Int]) = ([], [])
        producers.reserveCapacity(array.count)
        processes.reserveCapacity(array.count)
        var last: UInt64 = 0
        var isAscending = true
        let spans = array.span
        for index in spans.indices {
            // Other modules can't inline the comparison of two roles; a case they can tell.
            switch spans[index].role {
            case .produce: producers.append(index)
            case .process:
                isAscending = isAscending && last <= spans[index].startNanoseconds
                last = spans[index].startNanoseconds
                processes.append(index)
            }
        }
        if !isAscending {
            processes.sort { (array[$0].startNanoseconds, $0) < (array[$1].startNanoseconds, $1) }
        }
        return (producers, processes)
    }

    /// Fetches what `observe(process:)` reads after the attempts that are there already, and adds the attempt.
    @inline(__always)
    private mutating func prefetch(process span: borrowing TaskSpan, in body: UnsafeRawBufferPointer) {
        recent.prefetch(span.reference, after: attempts.count)
        pairing.prefetchProducers(of: span)
        let attempt = started.attempt(of: span, in: body)
        started.prefetch(attempt, after: attempts.count)
        attempts.append(attempt)
    }

    /// Returns the waits found since the last call.
    package mutating func takeCollectedWaits() -> [KnownWait] {
        defer { collected = [] }
        return collected
    }

    /// Returns the process spans that had come before and were told a ready time again, since the last call.
    package mutating func takeRepeated() -> [SpanReference] {
        defer { repeated = [] }
        return repeated
    }

    /// Returns the failed attempts that were counted since the last call: each once, however often its span came.
    package mutating func takeFailed() -> [TaskSpan] {
        defer { failed = [] }
        return failed
    }

    /// Drops what has waited too long for its producer. It is called now and then even without spans.
    package mutating func expire(at now: MonotonicTime) {
        recordUnpaired(pairing.expire(at: now), at: now)
    }

    private mutating func recordUnpaired(_ consumers: [SpanPairing.Consumer], at now: MonotonicTime) {
        for consumer in consumers where isCurrent(consumer) {
            let target = Target(series: consumer.series, now: now, span: .none, origin: nil)
            record(.unknown(consumer.otherwise), target)
        }
    }

    // MARK: Producers

    private mutating func add(producer span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, at now: MonotonicTime)
    {
        // Without its end it does not say when the task was there.
        if span.endNanoseconds == 0 { return }
        let due = WaitSource.dueNanoseconds(of: span, in: body)
        pairing.add(
            producer: span.reference, end: max(span.endNanoseconds, due), isDue: due > span.endNanoseconds, at: now)
    }

    /// Records the waits of the process spans whose producer has come.
    private mutating func settlePaired(at now: MonotonicTime, _ time: WallTime?) {
        for (consumer, producer) in pairing.takePaired() {
            let finding = WaitSource.wait(
                fromProducerEnd: producer.end, due: producer.isDue ? max(consumer.due, producer.end) : consumer.due,
                to: consumer.start)
            if isCurrent(consumer) {
                let origin = origin(consumer.exemplar, time)
                record(finding, Target(series: consumer.series, now: now, span: consumer.exemplar, origin: origin))
            }
            if let seconds = finding.seconds, let shared = consumer.attempt {
                collected.append(KnownWait(attempt: shared.attempt, producer: producer.reference, seconds: seconds))
            }
        }
    }

    /// Returns true if its queue is still there.
    private func isCurrent(_ consumer: SpanPairing.Consumer) -> Bool {
        consumer.generation == table.generation(of: consumer.series.queue)
    }

    // MARK: Process spans

    private mutating func observe(
        process span: borrowing TaskSpan, _ attempt: StartedAttempts.Attempt, in body: UnsafeRawBufferPointer,
        at now: MonotonicTime, _ time: WallTime?
    ) {
        guard recent.insert(span.reference) else {
            duplicates += 1
            if span.knowledge.readyTime != nil { repeated.append(span.reference) }
            return
        }
        let target = Target(
            series: table.number(of: span, in: body, at: now), now: now, span: span.forwarded,
            origin: origin(span.forwarded, time))
        // One that was overtaken counts as a retry, because another one has counted as the first, but its wait is a
        // first one's.
        let order = started.record(attempt)
        count(span, in: body, attempt: order == .first ? .first : .retry, target: target)
        let (wait, producer) = wait(of: span, in: body, isLater: order == .later, target)
        record(wait, target)
        if let seconds = wait.seconds, collects(span), let producer {
            let attempt = knownAttempt(span, in: body, target.series)
            collected.append(KnownWait(attempt: attempt, producer: producer, seconds: seconds))
        }
    }

    private mutating func count(
        _ span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, attempt: Attempt, target: Target
    ) {
        let status: TaskStatus = span.isError ? .failed : .completed
        table[target.series].count(status, attempt)
        if span.isError {
            table.countFailure(span.errorType.bytes(in: body), in: target.series)
            failed.append(copy span)
        }
        switch RunTime(span) {
        case .known(let seconds):
            table.observe(processingSeconds: seconds, status, in: target.series, of: target.origin)
            table[target.series.queue].runs.observe(seconds, at: target.now)
        case .unknown(let reason):
            let index = UnknownRunTimeReason.allCases.firstIndex(of: reason) ?? 0
            table[target.series.queue].unknownRuns[index] += 1
        }
    }

    /// Returns the wait, and the span that put the task into its queue, if that is known and not known to be unsampled.
    private mutating func wait(
        of span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, isLater: Bool, _ target: Target
    ) -> (WaitFinding, producer: SpanReference?) {
        let finding = WaitSource.find(span, in: body, isLater: isLater)
        let otherwise: UnknownWaitReason
        switch finding {
        case .needsProducer(let reason): otherwise = reason
        case .unknown(.noSource), .unknown(.badStamp):
            return (WaitSource.stored(span, in: body) ?? finding, span.likelyProducer)
        case .known, .sinceDue, .unknown:
            // This is done whether the origin is used or not, so that the producers stop waiting for a consumer.
            let seen = pairing.latestProducer(of: span)
            if !collectsWaits { return (finding, nil) }
            return (finding, seen?.reference ?? span.likelyProducer)
        }
        pairing.recordNeed(at: target.now)
        let due = WaitSource.dueNanoseconds(of: span, in: body)
        if let producer = pairing.latestProducer(of: span) {
            var wait = WaitSource.wait(
                fromProducerEnd: producer.end, due: producer.isDue ? max(due, producer.end) : due,
                to: span.startNanoseconds)
            if wait == .unknown(.badStamp) { wait = WaitSource.stored(span, in: body) ?? wait }
            return (wait, producer.reference)
        }
        // Its producer may never come, or in hours.
        if let stored = WaitSource.stored(span, in: body) { return (stored, span.likelyProducer) }
        let attempt = collects(span) ? knownAttempt(span, in: body, target.series) : nil
        let consumer = SpanPairing.Consumer(
            series: target.series, generation: table.generation(of: target.series.queue), otherwise: otherwise,
            start: span.startNanoseconds, due: due, arrival: target.now,
            attempt: attempt.map { SpanPairing.SharedAttempt($0) }, exemplar: span.forwarded)
        recordUnpaired(pairing.add(consumer, waitingAs: span), at: target.now)
        return (finding, nil)
    }

    private func collects(_ span: borrowing TaskSpan) -> Bool { collectsWaits && span.startNanoseconds > 0 }

    private func knownAttempt(
        _ span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, _ series: SeriesNumber
    ) -> KnownWait.Attempt {
        let (queue, type) = table.names(of: series)
        return KnownWait.Attempt(span, in: body, queue: queue, type: type == Self.unnamed ? TaskType([]) : type)
    }

    // MARK: Recording

    /// The place where an attempt is counted: the series, the time, the span, and the exemplar.
    private struct Target {
        let series: SeriesNumber
        let now: MonotonicTime
        let span: SpanReference
        let origin: Exemplar.Origin?
    }

    private func origin(_ exemplar: SpanReference, _ time: WallTime?) -> Exemplar.Origin? {
        exemplar.isValid ? time.map { Exemplar.Origin(span: exemplar, time: $0) } : nil
    }

    private mutating func record(_ finding: WaitFinding, _ target: Target) {
        switch finding {
        case .known(let seconds): record(seconds: seconds, target)
        case .sinceDue(let seconds):
            processAtWaits += 1
            if countsProcessAtWaits {
                record(seconds: seconds, target)
            } else {
                record(.unknown(.noSource), target)
            }
        case .unknown(let reason):
            let index = UnknownWaitReason.allCases.firstIndex(of: reason) ?? 0
            table[target.series.queue].unknownWaits[index] += 1
        case .needsProducer: break
        }
    }

    private mutating func record(seconds: Double, _ target: Target) {
        table[target.series].wait.observe(seconds, of: target.origin)
        if table[target.series.queue].observe(waitSeconds: seconds, at: target.now) { recordSlow(seconds, target) }
    }

    private mutating func recordSlow(_ seconds: Double, _ target: Target) {
        let (queue, type) = table.names(of: target.series)
        let isNamed = target.series.type != BoundedTextTable.other && type != Self.unnamed
        let wait = SlowWait(
            seconds: seconds, queue: queue, type: isNamed ? type : nil,
            span: keepsTraces && target.span.isValid ? target.span : target.origin?.span, observedAt: target.now)
        table[target.series.queue].recordSlow(wait)
        if slowest.hasPlace(seconds, at: target.now) { slowest.record(wait) }
    }

    // MARK: Limits

    /// Sets other bounds of queues, task types and error types, from now on. Existing series stay. Whether the label
    /// for the task type exists at all stays as well, and whether there are failures by error type.
    package mutating func setLimits(maxTaskTypes: Int, maxQueues: Int, maxErrorTypes: Int) {
        table.setLimits(maxTaskTypes: maxTaskTypes, maxQueues: maxQueues, maxErrorTypes: maxErrorTypes)
    }

    /// Records the queues that a good scrape of Redis saw. A queue that Redis does not know is dropped once it had no
    /// span for the length of the quantile window. When it comes back, it begins anew.
    package mutating func recordQueuesInRedis(_ queues: QueuesInRedis, at now: MonotonicTime) {
        table.recordQueuesInRedis(queues, at: now)
    }

    package var losses: AggregatorLosses {
        let overflows = table.overflows
        return AggregatorLosses(
            openProducers: pairing.openProducers, openConsumers: pairing.openConsumers,
            evictedProducers: pairing.evictedProducers, evictedConsumers: pairing.evictedConsumers,
            queueOverflows: overflows.queues, typeOverflows: overflows.types, errorTypeOverflows: overflows.errorTypes,
            evictedAttempts: started.evicted)
    }

    /// The number of names that are longer than a label and were cut, each counted when it was new.
    package var cutNames: (queues: UInt64, types: UInt64) { table.cuts }

    /// The bytes that queues, task types and error types take, with all their series, estimated, and the bytes that
    /// they may take.
    package var seriesBytes: Int { table.bytes }

    /// The step of the classic buckets of the histograms on the page.
    package var bucketStep: Int { table.bucketStep }

    /// The memory of the flat tables: producers and consumers that wait for each other, spans by which a repeated one
    /// is told, and attempts that have begun.
    package var tableBytes: (pairing: TableBytes, duplicates: TableBytes, startedAttempts: TableBytes) {
        (pairing.bytes, recent.bytes, started.bytes)
    }

    // MARK: Reading

    /// The numbers to ask `queue(_:)` for, in the order of the page: `_other` comes last.
    package var queueNumbers: [Int] { table.allNumbers }

    /// Returns a queue; nil where it is gone, and for `_other` where all queues have fit.
    package func queue(_ number: Int) -> QueueSeries? { table.queue(number) }

    /// Returns the longest waits of all queues in the last quarter of an hour, the longest first.
    package func slowestWaits(at now: MonotonicTime) -> [SlowWait] { slowest.list(at: now) }

    /// Returns the series of a queue; nil for one without spans.
    package func series(of queue: QueueName) -> QueueSeries? { table.find(queue) }

    /// Returns the 95th percentiles of the waits and the run times of a queue's attempts in the window, in seconds.
    /// Returns nil for a window without any.
    package func quantiles95(of name: QueueName, at now: MonotonicTime) -> (wait: Double?, run: Double?) {
        guard var queue = table.find(name) else { return (nil, nil) }
        return (queue.window.quantiles([0.95], at: now)?.first, queue.runs.quantiles([0.95], at: now)?.first)
    }
}

extension TaskSpan {
    /// The producer to assume where none has been seen: the link, because a parent may be any span around. It is nil
    /// where its trace was not sampled.
    fileprivate var likelyProducer: SpanReference? {
        if link.isValid { return isLinkSampled ? link : nil }
        return parentReference.isValid ? parentReference : nil
    }
}
