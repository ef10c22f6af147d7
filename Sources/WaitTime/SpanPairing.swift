import Model

/// Joins a process span with the producer spans that are its parent or its links, whichever arrives first.
///
/// Two bounded tables. A producer stays after a match: several consumers may name it. Only one without a match is missed. A
/// consumer waits under its parent and each of its links, and leaves with the first request that has one of them, or as the
/// oldest when there is no room or its time is over.
struct SpanPairing {
    /// A process span whose producer has not been seen yet.
    struct Consumer {
        let series: SeriesNumber
        /// The generation of the queue's number: another queue may have it by now.
        var generation: UInt32 = 0
        let start: UInt64
        /// When the task was due, if it was scheduled ahead; else 0.
        let due: UInt64
        /// What to count if the producer never comes.
        let otherwise: UnknownWaitReason
        let parent: SpanReference
        let link: SpanReference
        var moreLinks: [SpanReference] = []
        let arrival: MonotonicTime
        /// nil unless waits are collected.
        var attempt: KnownWait.Attempt?
        /// The span itself, where it may be an exemplar.
        var exemplar = SpanReference.none
    }

    private struct Producer {
        /// From when on its task could be run.
        let end: UInt64
        /// That is when a scheduled task was due, not when the span ended.
        let isDue: Bool
        /// A consumer that names it was seen.
        var isMatched = false
        let ticket: UInt64
        let arrival: MonotonicTime
    }

    private let capacity: Int
    private let lifetimeNanoseconds: UInt64
    private var producers: [SpanReference: Producer] = [:]
    /// The producers by ticket; a ticket counts up, so the lowest is the oldest.
    private var producerTickets: [UInt64: SpanReference] = [:]
    private var consumers: [UInt64: Consumer] = [:]
    /// Sets, because a hundred thousand consumers may name one producer, and each must leave in no time.
    private var waiting: [SpanReference: Set<UInt64>] = [:]
    /// Tickets in `waiting`.
    private var references = 0
    /// Tickets of those that a producer has come for.
    private var paired: Set<UInt64> = []
    private var nextTicket: UInt64 = 0
    private var oldestProducer: UInt64 = 0
    private var oldestConsumer: UInt64 = 0
    private var unmatchedProducers = 0
    /// When a wait was to be known from a producer. Where stamps tell them all, none is missed.
    private var lastNeed: MonotonicTime?
    /// Spans that were forgotten for lack of room before their other half came.
    private(set) var evictedProducers: UInt64 = 0
    private(set) var evictedConsumers: UInt64 = 0

    init(capacity: Int, lifetime: Duration) {
        self.capacity = capacity
        lifetimeNanoseconds = UInt64(clamping: lifetime.wholeNanoseconds)
    }

    /// Process spans that wait for their producer.
    var openConsumers: Int { consumers.count }
    /// Producers that no consumer has named yet.
    var openProducers: Int { unmatchedProducers }

    /// A wait is to be known from a producer.
    mutating func noteNeed(at now: MonotonicTime) { lastNeed = now }

    /// Of the producers that were seen the one that ended last: a task that was put together of several (an aggregated one) is
    /// ready when its last part is there.
    mutating func latestProducer(
        parent: SpanReference, link: SpanReference, moreLinks: [SpanReference]
    ) -> (reference: SpanReference, end: UInt64, isDue: Bool)? {
        if producers.isEmpty { return nil }
        var latest: (reference: SpanReference, end: UInt64, isDue: Bool)?
        Self.forEach(parent, link, moreLinks) { reference in
            guard let producer = producers[reference] else { return }
            if !producer.isMatched {
                producers[reference]?.isMatched = true
                unmatchedProducers -= 1
            }
            guard producer.end > latest?.end ?? 0 else { return }
            latest = (reference, producer.end, producer.isDue)
        }
        return latest
    }

    private static func forEach(
        _ parent: SpanReference, _ link: SpanReference, _ moreLinks: [SpanReference], _ body: (SpanReference) -> Void
    ) {
        if parent.isValid { body(parent) }
        if link.isValid { body(link) }
        for link in moreLinks { body(link) }
    }

    /// Notes a producer, and which consumers have waited for it.
    mutating func add(producer: SpanReference, end: UInt64, isDue: Bool = false, at now: MonotonicTime) {
        if producers[producer] == nil {
            producers[producer] = Producer(end: end, isDue: isDue, ticket: nextTicket, arrival: now)
            unmatchedProducers += 1
            producerTickets[nextTicket] = producer
            nextTicket += 1
        }
        if let tickets = waiting[producer] { paired.formUnion(tickets) }
    }

    /// The consumers that producers have come for since the last call. They are asked for when all producers of a request are
    /// in, so that the one that ended last is known.
    mutating func takePaired() -> [Consumer] {
        if paired.isEmpty { return [] }
        defer { paired = [] }
        return paired.sorted().compactMap { remove($0) }
    }

    /// Notes a consumer that waits for its producer.
    mutating func add(_ consumer: Consumer) {
        let ticket = nextTicket
        nextTicket += 1
        consumers[ticket] = consumer
        var added = 0
        Self.forEach(consumer.parent, consumer.link, consumer.moreLinks) { reference in
            if waiting[reference, default: []].insert(ticket).inserted { added += 1 }
        }
        references += added
    }

    /// Forgets what is too old or too much; returns the consumers that will not be paired.
    mutating func expire(at now: MonotonicTime) -> [Consumer] {
        while oldestProducer < nextTicket {
            if let reference = producerTickets[oldestProducer], let producer = producers[reference] {
                let isExpired = now.nanoseconds(since: producer.arrival) > lifetimeNanoseconds
                guard isExpired || producers.count > capacity else { break }
                if !producer.isMatched {
                    unmatchedProducers -= 1
                    if !isExpired && isNeeded(at: now) { evictedProducers += 1 }
                }
                producers[reference] = nil
                producerTickets[oldestProducer] = nil
            }
            oldestProducer += 1
        }
        var unpaired: [Consumer] = []
        while oldestConsumer < nextTicket {
            if let consumer = consumers[oldestConsumer] {
                let isExpired = now.nanoseconds(since: consumer.arrival) > lifetimeNanoseconds
                guard isExpired || consumers.count > capacity || references > 2 * capacity else { break }
                if !isExpired { evictedConsumers += 1 }
                if let removed = remove(oldestConsumer) { unpaired.append(removed) }
            }
            oldestConsumer += 1
        }
        return unpaired
    }

    private func isNeeded(at now: MonotonicTime) -> Bool {
        lastNeed.map { now.nanoseconds(since: $0) <= lifetimeNanoseconds } ?? false
    }

    private mutating func remove(_ ticket: UInt64) -> Consumer? {
        guard let consumer = consumers.removeValue(forKey: ticket) else { return nil }
        Self.forEach(consumer.parent, consumer.link, consumer.moreLinks) { reference in
            if waiting[reference]?.remove(ticket) != nil { references -= 1 }
            if waiting[reference]?.isEmpty == true { waiting[reference] = nil }
        }
        return consumer
    }
}
