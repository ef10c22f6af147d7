import Model

/// Joins a process span with the producer spans that are its parent or its links, whichever arrives first.
///
/// It has two bounded tables. A producer stays after a match, because several consumers may name it; losing it then
/// loses nothing. A consumer waits under its parent and each of its links. It leaves with the first request that has
/// one of them, or as the oldest when the table is full or its time is over.
struct SpanPairing {
    /// A process span whose producer has not been seen yet.
    struct Consumer {
        let series: SeriesNumber
        /// The generation of the queue's number: another queue may have it by now.
        var generation: UInt32 = 0
        /// The reason to count if the producer never comes.
        let otherwise: UnknownWaitReason
        let start: UInt64
        /// The time at which the task was due, if it was scheduled ahead; else 0.
        let due: UInt64
        let arrival: MonotonicTime
        /// The attempt; nil unless waits are collected.
        var attempt: SharedAttempt?
        /// The span itself, where it may be an exemplar.
        var exemplar = SpanReference.none
    }

    /// An attempt in a place of its own: few consumers have one.
    final class SharedAttempt: Sendable {
        /// The bytes that one takes, with the texts that it may hold alone.
        static let bytes = 416

        let attempt: KnownWait.Attempt

        init(_ attempt: KnownWait.Attempt) { self.attempt = attempt }
    }

    /// A producer that was seen.
    struct Match {
        let reference: SpanReference
        /// The time from which its task could be run.
        let end: UInt64
        /// True if that is when a scheduled task was due, and not when the span ended.
        let isDue: Bool
    }

    /// A producer in 40 bytes.
    private struct Producer: ReferenceEntry {
        let reference: SpanReference
        let end: UInt64
        /// The nanoseconds of the arrival, which need no more than 62 bits, above the two flags.
        private var arrivalAndFlags: UInt64

        private static let due: UInt64 = 1
        private static let matched: UInt64 = 2

        init(_ reference: SpanReference, end: UInt64, isDue: Bool, at now: MonotonicTime) {
            self.reference = reference
            self.end = end
            arrivalAndFlags = min(now.nanoseconds, .max >> 2) << 2 | (isDue ? Self.due : 0)
        }

        var isDue: Bool { arrivalAndFlags & Self.due != 0 }
        var arrival: MonotonicTime { MonotonicTime(nanoseconds: arrivalAndFlags >> 2) }
        /// True if a consumer that names it was seen.
        var isMatched: Bool { arrivalAndFlags & Self.matched != 0 }

        mutating func match() { arrivalAndFlags |= Self.matched }
    }

    /// The removals of producers that pass while what one of them changes is fetched.
    private static let removedAhead = 8

    private let capacity: Int
    /// True if consumers hold their attempts (`SharedAttempt`).
    private let keepsAttempts: Bool
    private let lifetimeNanoseconds: UInt64
    private var producers: ReferenceRing<Producer>
    private var consumers: WaitingConsumers
    /// The places of the consumers that a producer has come for.
    private var paired: [UInt32] = []
    private var unmatchedProducers = 0
    /// The last time when a wait depended on a producer. If stamps tell all waits, evicting producers loses nothing.
    private var lastNeed: MonotonicTime?
    /// The number of spans that were forgotten for lack of space before their other half came.
    private(set) var evictedProducers: UInt64 = 0
    private(set) var evictedConsumers: UInt64 = 0

    init(capacity: Int, lifetime: Duration, keepsAttempts: Bool = false) {
        self.capacity = capacity
        self.keepsAttempts = keepsAttempts
        lifetimeNanoseconds = UInt64(clamping: lifetime.wholeNanoseconds)
        producers = ReferenceRing(capacity: capacity)
        consumers = WaitingConsumers(maxConsumers: capacity, maxReferences: 2 * capacity)
    }

    /// The number of process spans that wait for their producer.
    var openConsumers: Int { consumers.count }
    /// The number of producers that no consumer has named yet.
    var openProducers: Int { unmatchedProducers }

    var bytes: TableBytes {
        let (producers, consumers) = (producers.bytes, consumers.bytes)
        let attemptBytes = keepsAttempts ? SharedAttempt.bytes : 0
        return TableBytes(
            used: producers.used + consumers.used + openConsumers * attemptBytes,
            limit: producers.limit + consumers.limit + capacity * attemptBytes)
    }

    /// Records that a wait depends on a producer.
    mutating func recordNeed(at now: MonotonicTime) { lastNeed = now }

    /// Fetches what `add(producer:)` reads.
    func prefetch(producer: SpanReference) { producers.prefetch(producer) }

    /// Fetches what tells whether producers of a process span were seen.
    func prefetchProducers(of span: borrowing TaskSpan) {
        if span.parent.isValid { producers.prefetch(span.parentReference) }
        if span.link.isValid { producers.prefetch(span.link) }
    }

    /// Fetches the producers themselves. What tells that they are there should have come meanwhile.
    func prefetchFoundProducers(of span: borrowing TaskSpan) {
        if span.parent.isValid { producers.prefetchEntry(of: span.parentReference) }
        if span.link.isValid { producers.prefetchEntry(of: span.link) }
    }

    /// Returns the producer that ended last, of those that were seen. A task that was put together of several (an
    /// aggregated one) is ready when its last part is there.
    mutating func latestProducer(of span: borrowing TaskSpan) -> Match? {
        if producers.count == 0 { return nil }
        var latest: Match?
        if span.parent.isValid { match(span.parentReference, &latest) }
        if span.link.isValid { match(span.link, &latest) }
        for link in span.moreLinks { match(link, &latest) }
        return latest
    }

    private mutating func match(_ reference: SpanReference, _ latest: inout Match?) {
        guard let place = producers.find(reference) else { return }
        if !producers[place].isMatched {
            producers[place].match()
            unmatchedProducers -= 1
        }
        let producer = producers[place]
        guard producer.end > latest?.end ?? 0 else { return }
        latest = Match(reference: reference, end: producer.end, isDue: producer.isDue)
    }

    /// Adds a producer, and pairs the consumers that have waited for it.
    mutating func add(producer: SpanReference, end: UInt64, isDue: Bool = false, at now: MonotonicTime) {
        if producers.isFull && producers.find(producer) == nil { forgetOldestProducer(at: now) }
        if producers.insert(Producer(producer, end: end, isDue: isDue, at: now)) { unmatchedProducers += 1 }
        consumers.pair(with: producer, &paired)
    }

    /// Removes the consumers that producers have come for since the last call, and returns them in the order in which
    /// they came. It is called when all producers of a request are in, so that the one that ended last is known.
    mutating func takePaired() -> [(consumer: Consumer, producer: Match)] {
        if paired.isEmpty { return [] }
        consumers.sort(&paired)
        var pairs: [(Consumer, Match)] = []
        var awaited: [SpanReference] = []
        for place in paired {
            let consumer = consumers.remove(place, awaited: &awaited)
            var latest: Match?
            for reference in awaited { match(reference, &latest) }
            if let latest { pairs.append((consumer, latest)) }
        }
        paired.removeAll(keepingCapacity: paired.capacity <= 1024)
        return pairs
    }

    /// Adds the consumer that a span is, which waits for its producer. Returns those that have to leave for it.
    mutating func add(_ consumer: Consumer, waitingAs span: borrowing TaskSpan) -> [Consumer] {
        consumers.add(consumer, parent: span.parentReference, link: span.link, moreLinks: span.moreLinks)
        return expireConsumers(at: consumer.arrival)
    }

    /// Removes the entries that are too old or too many; returns the consumers that will not be paired.
    mutating func expire(at now: MonotonicTime) -> [Consumer] {
        while let oldest = producers.oldest, producers.count > capacity || isOver(oldest.arrival, at: now) {
            producers.prefetchRemoval(ofOldest: Self.removedAhead)
            forgetOldestProducer(at: now)
        }
        return expireConsumers(at: now)
    }

    private mutating func expireConsumers(at now: MonotonicTime) -> [Consumer] {
        var unpaired: [Consumer] = []
        while let oldest = consumers.oldest {
            let isExpired = isOver(oldest.arrival, at: now)
            guard isExpired || consumers.count > capacity || consumers.references > 2 * capacity else { break }
            if !isExpired { evictedConsumers += 1 }
            if let removed = consumers.removeOldest() { unpaired.append(removed) }
        }
        return unpaired
    }

    private mutating func forgetOldestProducer(at now: MonotonicTime) {
        guard let oldest = producers.oldest else { return }
        producers.removeOldest()
        if oldest.isMatched { return }
        unmatchedProducers -= 1
        if !isOver(oldest.arrival, at: now) && isNeeded(at: now) { evictedProducers += 1 }
    }

    private func isOver(_ arrival: MonotonicTime, at now: MonotonicTime) -> Bool {
        now.nanoseconds(since: arrival) > lifetimeNanoseconds
    }

    private func isNeeded(at now: MonotonicTime) -> Bool {
        lastNeed.map { now.nanoseconds(since: $0) <= lifetimeNanoseconds } ?? false
    }
}
