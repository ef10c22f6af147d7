import Model
import Testing

@testable import WaitTime

@Suite("Pairing with the producer")
struct PairingTests {
    private let maker = SpanMaker()
    private var aggregator = makeAggregator()

    private mutating func child(of id: UInt64, _ change: (inout TaskSpan) -> Void = { _ in }) -> TaskSpan {
        maker.process {
            $0.parent = SpanID(id)
            change(&$0)
        }
    }

    private mutating func linked(to id: UInt64, in other: TraceID = trace(2)) -> TaskSpan {
        maker.process { $0.link = SpanReference(trace: other, span: SpanID(id)) }
    }

    @Test("the wait is the time from the producer's end, whichever of the two comes first, by parent or link")
    mutating func eitherOrder() {
        let byParent = [maker.producer(1, endedBefore: 2 * second), child(of: 1)]
        let byLink = [maker.producer(2, endedBefore: 3 * second, in: trace(2)), linked(to: 2)]
        for spans in [byParent, byParent.reversed()] {
            var aggregator = makeAggregator()
            for span in spans { maker.observe([span], with: &aggregator) }
            #expect(aggregator.waits() == Series(count: 1, sum: 2))
        }
        for spans in [byLink, byLink.reversed()] {
            var aggregator = makeAggregator()
            for span in spans { maker.observe([span], with: &aggregator) }
            #expect(aggregator.waits() == Series(count: 1, sum: 3))
        }
    }

    @Test(
        "the producer in the same request goes before the task's message, wherever it stands; one that comes later is too late"
    )
    mutating func producerBeforeMessage() {
        let enqueuedAt = WallTime(nanoseconds: Int64(t0 - 4 * second))
        let consumer = child(of: 1) { $0.knowledge.message = CarriedMessage(enqueuedAt: enqueuedAt) }
        let spans = [consumer, maker.producer(1, endedBefore: 3 * second)]
        for spans in [spans, spans.reversed()] {
            var aggregator = makeAggregator()
            maker.observe(spans, with: &aggregator)
            #expect(aggregator.waits() == Series(count: 1, sum: 3))
        }
        aggregator = makeAggregator()
        for span in spans { maker.observe([span], with: &aggregator) }
        #expect(aggregator.waits() == Series(count: 1, sum: 4))
    }

    @Test("several consumers of one producer are all paired, before and after it")
    mutating func fanOut() {
        maker.observe([child(of: 1), child(of: 1), linked(to: 1, in: trace(1))], with: &aggregator)
        #expect(aggregator.waits().count == 0)
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 3, sum: 3))
        maker.observe([child(of: 1), linked(to: 1, in: trace(1))], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 5, sum: 5))
    }

    @Test("a consumer with parent and link is counted once, though both producers come")
    mutating func parentAndLink() {
        let both = child(of: 1) { $0.link = SpanReference(trace: trace(2), span: SpanID(2)) }
        let same = child(of: 1) { $0.link = SpanReference(trace: trace(1), span: SpanID(1)) }
        maker.observe([both, same], with: &aggregator)
        maker.observe([maker.producer(2, endedBefore: 2 * second, in: trace(2))], with: &aggregator)
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 2, sum: 3))
    }

    @Test("an aggregated task is ready when its last part is there: the producer that ended last counts, in any order")
    mutating func aggregated() {
        let producers = (0..<10).map { maker.producer($0 + 1, endedBefore: (600 - 60 * $0) * second, in: trace(2)) }
        let links = producers.map(\.reference)
        let consumer = maker.process { span in
            span.link = links[0]
            span.moreLinks = Array(links[1...7])
        }
        for spans in [producers + [consumer], [consumer] + producers.reversed()] {
            aggregator = makeAggregator()
            maker.observe(spans, with: &aggregator)
            #expect(aggregator.waits() == Series(count: 1, sum: 180))
        }
        for requests in [[producers.reversed(), [consumer]], [[consumer], producers]] {
            aggregator = makeAggregator()
            for spans in requests { maker.observe(spans, with: &aggregator) }
            #expect(aggregator.waits() == Series(count: 1, sum: 180))
        }
        // The parent is one of them, too.
        let last = maker.producer(99, endedBefore: 20 * second)
        let withParent = child(of: 99) { $0.link = links[0] }
        aggregator = makeAggregator()
        maker.observe([last, producers[0], withParent], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 1, sum: 20))
        // Only one of those that are named is known.
        aggregator = makeAggregator()
        maker.observe([producers[2], consumer], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 1, sum: 480))
    }

    @Test("what waits under many links takes no more space than what waits under two")
    mutating func manyLinks() {
        aggregator = makeAggregator { $0.pairingCapacity = 8 }
        let spans = (0..<6).map { number in
            maker.process { span in
                let links = (0..<8).map { SpanReference(trace: trace(2), span: SpanID(UInt64(100 * number + $0 + 1))) }
                span.link = links[0]
                span.moreLinks = Array(links[1...])
            }
        }
        for span in spans { maker.observe([span], with: &aggregator) }
        #expect(aggregator.losses.openConsumers == 2 && aggregator.losses.evictedConsumers == 4)
        // A producer named twice is waited for once.
        maker.observe([maker.producer(401, endedBefore: second, in: trace(2))], with: &aggregator)
        let twice = maker.process {
            $0.link = spans[5].link
            $0.moreLinks = [spans[5].link, spans[5].link]
        }
        maker.observe([twice], with: &aggregator)
        maker.observe([maker.producer(501, endedBefore: second, in: trace(2))], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 3, sum: 3) && aggregator.losses.openConsumers == 0)
    }

    @Test("a producer of the same span id in another trace is another producer")
    mutating func otherTrace() {
        maker.observe([child(of: 1), maker.producer(1, endedBefore: second, in: trace(9))], with: &aggregator)
        #expect(aggregator.waits().count == 0)
    }

    @Test("a scheduled task's time before it was due is no wait, whoever says when, in either order")
    mutating func scheduled() {
        let due = AttributeValue.integer(Int64(t0 - second))
        let saysConsumer = [maker.producer(1, endedBefore: 60 * second), child(of: 1) { $0.processAt = due }]
        var producer = maker.producer(2, endedBefore: 60 * second)
        producer.processAt = due
        let saysProducer = [producer, child(of: 2)]
        for spans in [saysConsumer, saysConsumer.reversed(), saysProducer, saysProducer.reversed()] {
            var aggregator = makeAggregator()
            for span in spans { maker.observe([span], with: &aggregator) }
            #expect(aggregator.waits() == Series(count: 1, sum: 1))
        }
    }

    @Test("a producer without an end says nothing of the wait")
    mutating func producerWithoutEnd() {
        var producer = maker.producer(1, endedBefore: 0)
        producer.endNanoseconds = 0
        maker.observe([child(of: 1), producer, child(of: 1)], with: &aggregator)
        #expect(aggregator.waits().count == 0)
    }

    @Test("clock skew between producer and consumer is counted as such")
    mutating func skew() {
        var late = maker.producer(1, endedBefore: 0)
        late.endNanoseconds = t0 + second
        var tooLate = maker.producer(2, endedBefore: 0)
        tooLate.endNanoseconds = t0 + second + 1
        maker.observe([late, tooLate, child(of: 1), child(of: 2)], with: &aggregator)
        #expect(aggregator.waits() == Series(count: 1, sum: 0))
        #expect(aggregator.unknown(.clockSkew) == 1)
    }

    @Test("a consumer whose producer does not come within the lifetime has no source")
    mutating func expiry() {
        aggregator = makeAggregator { $0.pairingLifetime = .seconds(10) }
        maker.observe([child(of: 1), child(of: 2)], with: &aggregator, at: MonotonicTime(nanoseconds: 5 * second))
        aggregator.expire(at: MonotonicTime(nanoseconds: 15 * second))
        #expect(aggregator.unknown(.noSource) == 0)
        aggregator.expire(at: MonotonicTime(nanoseconds: 15 * second + 1))
        #expect(aggregator.unknown(.noSource) == 2)
        maker.observe(
            [maker.producer(1, endedBefore: second)], with: &aggregator, at: MonotonicTime(nanoseconds: 16 * second))
        #expect(aggregator.waits().count == 0)
        #expect(aggregator.unknown(.noSource) == 2)
    }

    @Test("a producer is forgotten after the lifetime, and not earlier")
    mutating func producerExpiry() {
        aggregator = makeAggregator { $0.pairingLifetime = .seconds(10) }
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator, at: MonotonicTime(nanoseconds: 0))
        maker.observe([child(of: 1)], with: &aggregator, at: MonotonicTime(nanoseconds: 10 * second))
        #expect(aggregator.waits().count == 1)
        aggregator.expire(at: MonotonicTime(nanoseconds: 11 * second))
        maker.observe([child(of: 1)], with: &aggregator, at: MonotonicTime(nanoseconds: 11 * second))
        #expect(aggregator.waits().count == 1)
    }

    @Test("the oldest consumer gives way when there is no space, and has no source")
    mutating func consumerEviction() {
        aggregator = makeAggregator { $0.pairingCapacity = 3 }
        maker.observe((1...5).map { child(of: $0) }, with: &aggregator)
        #expect(aggregator.unknown(.noSource) == 2)
        maker.observe((1...5).map { maker.producer($0, endedBefore: second) }, with: &aggregator)
        #expect(aggregator.waits().count == 3)
    }

    @Test("the oldest producer gives way when there is no space")
    mutating func producerEviction() {
        aggregator = makeAggregator { $0.pairingCapacity = 3 }
        maker.observe((1...5).map { maker.producer($0, endedBefore: second) }, with: &aggregator)
        maker.observe((1...5).map { child(of: $0) }, with: &aggregator)
        #expect(aggregator.waits().count == 3)
    }

    @Test("a hundred thousand consumers of one producer are evicted and paired one by one")
    mutating func manyOfOneProducer() {
        aggregator = makeAggregator { $0.pairingCapacity = 50_000 }
        let children = (0..<100_000).map { _ in child(of: 1) }
        for start in stride(from: 0, to: children.count, by: 10_000) {
            maker.observe(Array(children[start..<start + 10_000]), with: &aggregator)
        }
        #expect(aggregator.unknown(.noSource) == 50_000)
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator)
        #expect(aggregator.waits().count == 50_000)
    }

    @Test("the tables are empty when all is paired or expired")
    mutating func emptied() {
        var pairing = SpanPairing(capacity: 10, lifetime: .nanoseconds(10))
        func reference(_ id: UInt64) -> SpanReference { SpanReference(trace: trace(1), span: SpanID(id)) }
        for id: UInt64 in 1...5 {
            var span = TaskSpan()
            span.reference = reference(100 + id)
            span.parent = SpanID(id)
            span.link = reference(id + 1)
            let gone = pairing.add(
                SpanPairing.Consumer(
                    series: SeriesNumber(queue: 0, type: 0), otherwise: .noSource, start: t0, due: 0,
                    arrival: MonotonicTime(nanoseconds: 0)),
                waitingAs: span)
            #expect(gone.isEmpty)
        }
        pairing.add(producer: reference(3), end: 1, at: MonotonicTime(nanoseconds: 1))
        #expect(pairing.takePaired().count == 2 && pairing.takePaired().isEmpty)
        #expect(pairing.openConsumers == 3)
        let expired = pairing.expire(at: MonotonicTime(nanoseconds: 20))
        #expect(expired.count == 3)
        #expect(pairing.openConsumers == 0)
        var late = TaskSpan()
        late.link = reference(3)
        let producer = pairing.latestProducer(of: late)
        #expect(producer?.reference == nil)
    }
}

@Suite("What is remembered of a producer")
struct RememberedProducerTests {
    @Test("Whether its end is when a task was due stays known once a consumer has named it", arguments: [true, false])
    func due(isDue: Bool) {
        var pairing = SpanPairing(capacity: 10, lifetime: .seconds(60))
        let producer = SpanReference(trace: trace(1), span: SpanID(7))
        pairing.add(producer: producer, end: 5, isDue: isDue, at: MonotonicTime(nanoseconds: 1_000_000_000))
        #expect(pairing.openProducers == 1)
        var span = TaskSpan()
        span.reference = SpanReference(trace: producer.trace, span: SpanID(8))
        span.parent = producer.span
        for _ in 0..<2 {
            let found = pairing.latestProducer(of: span)
            #expect(found?.reference == producer && found?.end == 5 && found?.isDue == isDue)
            #expect(pairing.openProducers == 0)
        }
    }
}
