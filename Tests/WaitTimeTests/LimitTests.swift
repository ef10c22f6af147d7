import Metrics
import Model
@testable import WaitTime
import Testing

@Suite("What the aggregator's bounds cost")
struct LimitTests {
    private let maker = SpanMaker()

    @Test("open and evicted spans are counted by role, expired ones are not evicted")
    func pairing() {
        var aggregator = makeAggregator { $0.pairingCapacity = 2; $0.pairingLifetimeNanoseconds = 10 * second }
        maker.observe((1...3).map { id in maker.process { $0.parent = SpanID(id) } }, with: &aggregator)
        maker.observe((4...7).map { maker.producer($0, endedBefore: second) }, with: &aggregator)
        #expect(aggregator.limits.openConsumers == 2)
        #expect(aggregator.limits.evictedConsumers == 1)
        #expect(aggregator.limits.openProducers == 2)
        #expect(aggregator.limits.evictedProducers == 2)
        aggregator.expire(at: MonotonicTime(nanoseconds: 100 * second))
        #expect(aggregator.limits.openConsumers == 0 && aggregator.limits.openProducers == 0)
        #expect(aggregator.limits.evictedConsumers == 1 && aggregator.limits.evictedProducers == 2)
    }

    @Test("spans under _other are counted by the label that found no room, those of _other itself included")
    func labels() {
        var aggregator = makeAggregator { $0.maxQueues = 1; $0.maxTaskTypes = 2 }
        maker.observe([maker.process(), maker.process(type: "u")], with: &aggregator)
        #expect(aggregator.limits == AggregatorLimits())
        let spans = [
            maker.process(type: "v"), maker.process(type: "v"), maker.process(queue: "r"),
            maker.process(queue: "s", type: "u"), maker.process(queue: "s", type: "w"),
        ]
        maker.observe(spans, with: &aggregator)
        #expect(aggregator.limits.typeOverflows == 3)
        #expect(aggregator.limits.queueOverflows == 3)
    }

    @Test("the 95th percentiles of a queue are of its waits and of the run times of all its attempts")
    func quantiles() {
        var aggregator = makeAggregator()
        let spans = (1...100).map { number in
            maker.process {
                $0.wait = .integer(Int64(number))
                $0.isError = number % 2 == 0
                $0.endNanoseconds = t0 + UInt64(number) * second / 10
            }
        }
        maker.observe(spans + [maker.process(queue: "r")], with: &aggregator)
        let found = aggregator.quantiles95(of: ForeignText("q"), at: now)
        #expect(abs((found.wait ?? 0) / 95 - 1) < 0.05)
        #expect(abs((found.run ?? 0) / 9.5 - 1) < 0.05)
        let other = aggregator.quantiles95(of: ForeignText("r"), at: now)
        #expect(other.wait == nil)
        #expect(abs((other.run ?? 0) / 0.25 - 1) < 0.05)
        #expect(aggregator.quantiles95(of: ForeignText("unknown"), at: now) == (nil, nil))
        let later = aggregator.quantiles95(of: ForeignText("q"), at: MonotonicTime(nanoseconds: 1000 * second))
        #expect(later == (nil, nil))
    }

    @Test("a queue's numbers stay as they were taken, whatever comes after")
    func snapshot() {
        var aggregator = makeAggregator()
        maker.observe([maker.process { $0.wait = .integer(2) }], with: &aggregator)
        var page = TaskFamilies()
        if let queue = aggregator.queue(at: 0) {
            maker.observe([maker.process { $0.wait = .integer(3) }, maker.process(type: "u")], with: &aggregator)
            page.add(queue, at: now)
        }
        let waits = page.families.first { $0.name == "asynq_task_wait_duration_seconds" }?.samples ?? []
        #expect(waits.count == 1)
        if case .histogram(let histogram)? = waits.first?.value { #expect(histogram.sum == 2) }
        #expect(aggregator.waits() == Series(count: 2, sum: 5))
        #expect(aggregator.queueCount == 1)
    }
}
