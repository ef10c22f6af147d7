import Model
import TestSupport
import Testing

@testable import WaitTime

/// Pairing as one would write it without a thought of speed.
private struct NaivePairing {
    struct Consumer {
        let number: Int
        let references: [SpanReference]
        let arrival: UInt64
    }

    let capacity: Int
    let lifetime: UInt64
    private var producers: [(reference: SpanReference, end: UInt64, arrival: UInt64, isMatched: Bool)] = []
    private(set) var consumers: [Consumer] = []

    init(capacity: Int, lifetime: UInt64) {
        self.capacity = capacity
        self.lifetime = lifetime
    }

    var openProducers: Int { producers.count { !$0.isMatched } }

    mutating func latest(_ references: [SpanReference]) -> SpanReference? {
        var best: (SpanReference, UInt64)?
        for reference in references {
            guard let place = producers.firstIndex(where: { $0.reference == reference }) else { continue }
            producers[place].isMatched = true
            if producers[place].end > best?.1 ?? 0 { best = (reference, producers[place].end) }
        }
        return best?.0
    }

    mutating func add(_ reference: SpanReference, end: UInt64, at now: UInt64) -> [(Int, SpanReference)] {
        if !producers.contains(where: { $0.reference == reference }) { producers.append((reference, end, now, false)) }
        let found = consumers.filter { $0.references.contains(reference) }
        consumers.removeAll { $0.references.contains(reference) }
        return found.compactMap { consumer in latest(consumer.references).map { (consumer.number, $0) } }
    }

    mutating func add(_ consumer: Consumer) {
        consumers.append(consumer)
    }

    mutating func expire(at now: UInt64) -> [Int] {
        producers.removeAll { now - min(now, $0.arrival) > lifetime }
        if producers.count > capacity { producers.removeFirst(producers.count - capacity) }
        var gone: [Int] = []
        while let oldest = consumers.first,
            now - min(now, oldest.arrival) > lifetime || consumers.count > capacity
                || consumers.reduce(0, { $0 + $1.references.count }) > 2 * capacity
        {
            gone.append(oldest.number)
            consumers.removeFirst()
        }
        return gone
    }
}

@Suite("The tables of pairing, beside a naive model")
struct PairingModelTests {
    @Test("Random spans of few ids pair, expire and leave as in the model, in the same order", arguments: [3, 20, 130])
    func model(capacity: Int) {
        var random = SeededGenerator.fresh(for: "SpanPairing")
        let lifetime: UInt64 = 4000
        var pairing = SpanPairing(capacity: capacity, lifetime: .nanoseconds(Int64(lifetime)))
        var model = NaivePairing(capacity: capacity, lifetime: lifetime)
        func anyReference() -> SpanReference {
            SpanReference(
                trace: trace(UInt64.random(in: 1...2, using: &random)),
                span: SpanID(UInt64.random(in: 1...UInt64(4 * capacity), using: &random)))
        }
        var now: UInt64 = 0
        for number in 0..<6000 {
            now += UInt64.random(in: 0...60, using: &random)
            let time = MonotonicTime(nanoseconds: now)
            if Int.random(in: 0..<3, using: &random) == 0 {
                let (reference, end) = (anyReference(), UInt64.random(in: 1...5, using: &random))
                pairing.add(producer: reference, end: end, at: time)
                let pairs = pairing.takePaired().map { ($0.consumer.start, $0.producer.reference) }
                let expected = model.add(reference, end: end, at: now).map { (UInt64($0), $1) }
                #expect(pairs.elementsEqual(expected, by: ==), "step \(number)")
            } else {
                var span = TaskSpan()
                span.link = anyReference()
                span.moreLinks = (0..<Int.random(in: 0...3, using: &random)).map { _ in anyReference() }
                var references = [span.link]
                for link in span.moreLinks where !references.contains(link) { references.append(link) }
                let latest = pairing.latestProducer(of: span)?.reference
                #expect(latest == model.latest(references), "step \(number)")
                if latest == nil {
                    let gone = pairing.add(consumer(number, at: time), waitingAs: span).map(\.start)
                    model.add(NaivePairing.Consumer(number: number, references: references, arrival: now))
                    #expect(gone == model.expire(at: now).map { UInt64($0) }, "step \(number)")
                }
            }
            let gone = pairing.expire(at: time).map(\.start)
            #expect(gone == model.expire(at: now).map { UInt64($0) }, "step \(number)")
            #expect(pairing.openConsumers == model.consumers.count && pairing.openProducers == model.openProducers)
            #expect(pairing.bytes.used <= pairing.bytes.limit)
        }
    }

    private func consumer(_ number: Int, at now: MonotonicTime) -> SpanPairing.Consumer {
        SpanPairing.Consumer(
            series: SeriesNumber(queue: 0, type: 0), otherwise: .noSource, start: UInt64(number), due: 0, arrival: now)
    }

    @Test("Producers and consumers without number, with as many links as there are, stay within the limit of bytes")
    func bytes() {
        var pairing = SpanPairing(capacity: 1000, lifetime: .seconds(10))
        var id: UInt64 = 0
        func next() -> SpanReference {
            id += 1
            return SpanReference(trace: trace(3), span: SpanID(id))
        }
        var most = 0
        for number in 0..<20_000 {
            let time = MonotonicTime(nanoseconds: UInt64(number))
            pairing.add(producer: next(), end: 1, at: time)
            var span = TaskSpan()
            span.link = next()
            span.moreLinks = (1..<TaskSpan.maxLinks).map { _ in next() }
            _ = pairing.add(consumer(number, at: time), waitingAs: span)
            // Not even a request that never ends may grow it.
            most = max(most, pairing.bytes.used)
        }
        #expect(most <= pairing.bytes.limit && pairing.bytes.limit < 1 << 19)
        #expect(pairing.evictedConsumers == 20_000 - 250)
    }
}
