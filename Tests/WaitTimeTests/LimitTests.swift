import Metrics
import Model
import TestSupport
import Testing

@testable import WaitTime

@Suite("What the aggregator's bounds cost")
struct LimitTests {
    private let maker = SpanMaker()

    @Test("open and evicted spans are counted by role, expired ones are not evicted")
    func pairing() {
        var aggregator = makeAggregator {
            $0.pairingCapacity = 2
            $0.pairingLifetime = .seconds(10)
        }
        maker.observe((1...3).map { id in maker.process { $0.parent = SpanID(id) } }, with: &aggregator)
        maker.observe((4...7).map { maker.producer($0, endedBefore: second) }, with: &aggregator)
        #expect(aggregator.losses.openConsumers == 2)
        #expect(aggregator.losses.evictedConsumers == 1)
        #expect(aggregator.losses.openProducers == 2)
        #expect(aggregator.losses.evictedProducers == 2)
        aggregator.expire(at: MonotonicTime(nanoseconds: 100 * second))
        #expect(aggregator.losses.openConsumers == 0 && aggregator.losses.openProducers == 0)
        #expect(aggregator.losses.evictedConsumers == 1 && aggregator.losses.evictedProducers == 2)
    }

    @Test("a producer whose consumer was seen waits no more, and is not missed when it is forgotten")
    func matchedProducers() {
        for first in [true, false] {
            var aggregator = makeAggregator { $0.pairingCapacity = 10 }
            for id in 1...40 as ClosedRange<UInt64> {
                let pair = [maker.producer(id, endedBefore: second), maker.process { $0.parent = SpanID(id) }]
                for span in first ? pair : pair.reversed() { maker.observe([span], with: &aggregator) }
            }
            #expect(aggregator.waits().count == 40)
            #expect(aggregator.losses == AggregatorLosses())
            // Now one without.
            maker.observe([maker.producer(50, endedBefore: second)], with: &aggregator)
            #expect(aggregator.losses.openProducers == 1)
            for id in 51...60 as ClosedRange<UInt64> {
                maker.observe([maker.producer(id, endedBefore: second)], with: &aggregator)
            }
            #expect(aggregator.losses.openProducers == 10 && aggregator.losses.evictedProducers == 1)
        }
    }

    @Test("where all waits are known otherwise, no producer is missed")
    func unneededProducers() {
        var aggregator = makeAggregator { $0.pairingCapacity = 10 }
        let stamped = { (id: UInt64) in
            self.maker.process {
                $0.parent = SpanID(id)
                $0.wait = .integer(1)
            }
        }
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator)
        #expect(aggregator.losses.openProducers == 1)
        maker.observe([stamped(1)], with: &aggregator)
        #expect(aggregator.losses.openProducers == 0)
        for id in 2...40 as ClosedRange<UInt64> {
            maker.observe([stamped(id)], with: &aggregator)
            maker.observe([maker.producer(id, endedBefore: second)], with: &aggregator)
        }
        #expect(aggregator.losses.openProducers == 10 && aggregator.losses.evictedProducers == 0)
    }

    @Test("spans under _other are counted by the label that found no space, those of _other itself included")
    func labels() {
        var aggregator = makeAggregator {
            $0.maxQueues = 1
            $0.maxTaskTypes = 2
        }
        maker.observe([maker.process(), maker.process(type: "u")], with: &aggregator)
        #expect(aggregator.losses == AggregatorLosses())
        let spans = [
            maker.process(type: "v"), maker.process(type: "v"), maker.process(queue: "r"),
            maker.process(queue: "s", type: "u"), maker.process(queue: "s", type: "w"),
        ]
        maker.observe(spans, with: &aggregator)
        #expect(aggregator.losses.typeOverflows == 3)
        #expect(aggregator.losses.queueOverflows == 3)
    }

    @Test("other limits hold from now on, in each queue and in _other; series that are there stay")
    func newLimits() {
        var aggregator = makeAggregator {
            $0.maxQueues = 1
            $0.maxTaskTypes = 1
        }
        func observe(_ queue: String, _ types: [String]) {
            maker.observe(types.map { maker.process(queue: queue, type: $0) }, with: &aggregator)
        }
        for queue in ["q", "r"] { observe(queue, ["a", "b"]) }
        #expect(aggregator.losses.typeOverflows == 2 && aggregator.losses.queueOverflows == 2)
        aggregator.setLimits(maxTaskTypes: 2, maxQueues: 2, maxErrorTypes: 1)
        for queue in ["q", "r", "s"] { observe(queue, ["a", "b"]) }
        // "r" has its space now; "s" counts under _other, which knows "a" and has space for "b".
        #expect(aggregator.losses.typeOverflows == 2 && aggregator.losses.queueOverflows == 4)
        aggregator.setLimits(maxTaskTypes: 1, maxQueues: 1, maxErrorTypes: 1)
        for queue in ["q", "r", "s"] { observe(queue, ["a", "b", "c"]) }
        #expect(aggregator.losses.typeOverflows == 5 && aggregator.losses.queueOverflows == 7)
    }

    @Test("the longest waits name their type, but not one that is left out or found no space")
    func slowTypes() {
        var aggregator = makeAggregator { $0.maxTaskTypes = 2 }
        let types = [("t", 4), ("", 3), ("no space", 2)]
        maker.observe(
            types.map { type, seconds in maker.process(type: type) { $0.wait = .integer(Int64(seconds)) } },
            with: &aggregator)
        #expect(aggregator.slowestWaits(at: now).map { $0.type?.text } == ["t", nil, nil])
    }

    @Test("the longest waits of a queue are its own, however long those of the others are")
    func slowWaitsOfEachQueue() {
        var aggregator = makeAggregator { $0.maxQueues = 3 }
        let waits = (0..<20).map { ("loud", 100 + $0) } + [("quiet", 2), ("quiet", 1)]
        maker.observe(
            waits.map { queue, seconds in maker.process(queue: queue) { $0.wait = .integer(Int64(seconds)) } },
            with: &aggregator)
        #expect(aggregator.slowestWaits(at: now).allSatisfy { $0.queue == QueueName("loud") })
        #expect(aggregator.series(of: QueueName("quiet"))?.slowestWaits(at: now).map(\.seconds) == [2, 1])
        #expect(aggregator.series(of: QueueName("loud"))?.slowestWaits(at: now).count == SlowestWaits.maxCount)
        #expect(aggregator.series(of: QueueName("loud"))?.slowestWaits(at: now).first?.seconds == 119)
    }

    @Test("queues that Redis knows find space, and take none from those that only spans name")
    func queuesInRedis() {
        var aggregator = makeAggregator { $0.maxQueues = 1 }
        maker.observe([maker.process(queue: "early")], with: &aggregator)
        aggregator.recordQueuesInRedis(
            QueuesInRedis([ForeignText("a"), ForeignText("b"), ForeignText("early")]), at: now)
        let names = ["only-spans", "a", "b", "more", "a"]
        maker.observe(names.map { name in maker.process(queue: name) { $0.wait = .integer(1) } }, with: &aggregator)
        for (name, count) in [("a", 2), ("b", 1), ("only-spans", 1), ("more", 0), ("_other", 1)] as [(String, UInt64)] {
            #expect(aggregator.waits(queue: name).count == count, "\(name)")
        }
        #expect(aggregator.losses.queueOverflows == 1)
    }

    @Test("queues that Redis knows use up no space, though their spans come first")
    func roomBesideRedis() {
        var aggregator = makeAggregator { $0.maxQueues = 1 }
        aggregator.recordQueuesInRedis(QueuesInRedis([ForeignText("a"), ForeignText("b")]), at: now)
        for name in ["a", "b", "only-spans", "more"] {
            maker.observe([maker.process(queue: name) { $0.wait = .integer(1) }], with: &aggregator)
        }
        for (name, count) in [("a", 1), ("b", 1), ("only-spans", 1), ("more", 0), ("_other", 1)] as [(String, UInt64)] {
            #expect(aggregator.waits(queue: name).count == count, "\(name)")
        }
        #expect(aggregator.losses.queueOverflows == 1)
    }

    @Test("what a queue that has gone has counted under _other stays in the overflows of types")
    func overflowsOfGoneQueue() {
        var aggregator = makeAggregator {
            $0.maxTaskTypes = 1
            $0.quantileWindow = .seconds(10)
        }
        aggregator.recordQueuesInRedis(QueuesInRedis([ForeignText("gone")]), at: now)
        maker.observe(["a", "b", "c"].map { maker.process(queue: "gone", type: $0) }, with: &aggregator)
        #expect(aggregator.losses.typeOverflows == 2)
        let later = now.advanced(by: .seconds(100))
        aggregator.recordQueuesInRedis(QueuesInRedis(), at: later)
        #expect(aggregator.losses.typeOverflows == 2)
        maker.observe(["a", "b"].map { maker.process(queue: "new", type: $0) }, with: &aggregator, at: later)
        #expect(aggregator.losses.typeOverflows == 3 && aggregator.queueCount == 1)
    }

    @Test("a queue that Redis does not know is dropped when its spans have ceased, and begins anew when it comes back")
    func goneQueues() {
        var aggregator = makeAggregator {
            $0.maxQueues = 2
            $0.quantileWindow = .seconds(60)
        }
        func at(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * second) }
        func observe(_ queue: String, at time: UInt64) {
            maker.observe([maker.process(queue: queue) { $0.wait = .integer(2) }], with: &aggregator, at: at(time))
        }
        func use(_ names: [String], at time: UInt64) {
            aggregator.recordQueuesInRedis(QueuesInRedis(names.map { ForeignText($0) }), at: at(time))
        }
        use(["gone", "stays"], at: 1)
        for queue in ["gone", "stays", "only-spans"] { observe(queue, at: 2) }
        use(["stays"], at: 3)
        observe("gone", at: 50)
        observe("only-spans", at: 60)
        // As long as there are spans of it, and while Redis is away.
        use(["stays"], at: 110)
        #expect(aggregator.waits(queue: "gone") == Series(count: 2, sum: 4))
        use(["stays"], at: 111)
        #expect(!aggregator.page(at: at(111)).keys.contains { $0.contains("\"gone\"") })
        #expect(aggregator.quantiles95(of: ForeignText("gone"), at: at(111)) == (nil, nil))
        #expect(aggregator.waits(queue: "stays").count == 1 && aggregator.waits(queue: "only-spans").count == 2)
        // Another one has its number, and nothing of what it had.
        observe("new", at: 112)
        #expect(aggregator.waits(queue: "new") == Series(count: 1, sum: 2) && aggregator.queueCount == 3)
        use(["stays", "gone"], at: 113)
        observe("gone", at: 114)
        #expect(aggregator.waits(queue: "gone") == Series(count: 1, sum: 2))
        // One that Redis never knew leaves in the same way.
        use(["stays", "gone"], at: 120)
        #expect(aggregator.waits(queue: "only-spans").count == 2)
        use(["stays", "gone"], at: 121)
        #expect(aggregator.waits(queue: "only-spans").count == 0 && aggregator.waits(queue: "new").count == 1)
        observe("only-spans", at: 122)
        #expect(aggregator.waits(queue: "only-spans") == Series(count: 1, sum: 2))
        #expect(aggregator.losses == AggregatorLosses())
    }

    @Test("a span that waits for its producer is not counted for another queue that has its queue's number")
    func waitingInGoneQueue() {
        var aggregator = makeAggregator { $0.quantileWindow = .seconds(60) }
        func at(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * second) }
        aggregator.recordQueuesInRedis(QueuesInRedis([ForeignText("gone")]), at: at(1))
        maker.observe(
            (1...2).map { id in maker.process(queue: "gone") { $0.parent = SpanID(id) } }, with: &aggregator, at: at(2))
        aggregator.recordQueuesInRedis(QueuesInRedis(), at: at(63))
        maker.observe([maker.process(queue: "new") { $0.wait = .integer(2) }], with: &aggregator, at: at(64))
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator, at: at(65))
        aggregator.expire(at: at(100_000))
        #expect(aggregator.waits(queue: "new") == Series(count: 1, sum: 2))
        #expect(aggregator.unknown(.noSource, queue: "new") == 0 && aggregator.losses.openConsumers == 0)
    }

    @Test("texts keep their numbers when others are taken out")
    func removedTexts() {
        var table = BoundedTextTable(limit: 200)
        func number(_ text: String) -> Int { Array(text.utf8).withUnsafeBytes { table.number(of: $0) } }
        func find(_ text: String) -> Int? { Array(text.utf8).withUnsafeBytes { table.find($0) } }
        for text in 1...200 { #expect(number("t\(text)") == text) }
        #expect(number("more") == 0 && table.refusals == 1)
        table.remove(Array(stride(from: 1, to: 200, by: 3)))
        for text in 1...200 { #expect(find("t\(text)") == (text % 3 == 1 ? nil : text), "\(text)") }
        let given = Set((0..<67).map { number("new\($0)") })
        #expect(given == Set(stride(from: 1, to: 200, by: 3)))
        #expect(number("one more") == 0 && table.texts.count == 201)
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
        if let queue = aggregator.queue(1) {
            maker.observe([maker.process { $0.wait = .integer(3) }, maker.process(type: "u")], with: &aggregator)
            page.add(queue, at: now)
        }
        let waits = page.families.first { $0.name == "asynq_task_wait_duration_seconds" }?.samples ?? []
        #expect(waits.count == 1)
        if case .histogram(let histogram)? = waits.first?.value { #expect(histogram.sum == 2) }
        #expect(aggregator.waits() == Series(count: 2, sum: 5))
        #expect(aggregator.queueCount == 1)
    }

    @Test(
        "where the memory for series is used up, queues, task types and error types that are new are counted as _other")
    func seriesBytes() {
        var aggregator = makeAggregator { $0.maxSeriesBytes = 200_000 }
        for number in 0..<100 {
            let name = String(repeating: "n", count: 200) + "\(number)"
            maker.observe(
                [
                    maker.process(queue: name) { $0.isError = true },
                    maker.process(queue: "q", type: name) {
                        $0.isError = true
                        $0.errorType = self.maker.range(Array(name.utf8))
                    },
                ], with: &aggregator)
        }
        // What the last one takes may be above it.
        #expect(aggregator.seriesBytes > 200_000 && aggregator.seriesBytes < 240_000)
        let losses = aggregator.losses
        #expect(losses.queueOverflows > 80 && losses.typeOverflows > 80)
        let attempts = aggregator.page().filter { $0.key.hasPrefix("attempts_total") }
        #expect(attempts.values.map(\.count).reduce(0, +) == 200)
        // Known ones go on.
        maker.observe([maker.process(queue: "q", type: "t") { $0.wait = .integer(1) }], with: &aggregator)
        #expect(aggregator.losses.queueOverflows == losses.queueOverflows)
    }

    @Test("queues that are dropped give their memory back")
    func droppedBytes() {
        var aggregator = makeAggregator { $0.quantileWindow = .seconds(60) }
        let empty = aggregator.seriesBytes
        for round in 0..<3 {
            let start = UInt64(round) * 1000
            maker.observe(
                (0..<10).map { number in maker.process(queue: "q\(number)") { $0.isError = number % 2 == 0 } },
                with: &aggregator, at: MonotonicTime(nanoseconds: (start + 1) * second))
            #expect(aggregator.seriesBytes > empty + 10 * 8192)
            aggregator.recordQueuesInRedis(
                QueuesInRedis(), at: MonotonicTime(nanoseconds: (start + 100) * second))
            // The places stay for other queues.
            #expect(aggregator.seriesBytes < empty + 10 * 17_000)
        }
        #expect(aggregator.queueCount == 10)
    }

    @Test("a page in portions has what the page has as a whole", arguments: [1, 5, 40])
    func portions(types: Int) {
        var aggregator = makeAggregator { $0.maxTaskTypes = 30 }
        for queue in 0..<20 {
            maker.observe(
                (0..<types).map { type in
                    maker.process(queue: "q\(queue)", type: "t\(type)") {
                        $0.wait = .integer(Int64(type))
                        $0.isError = type % 3 == 0
                    }
                }, with: &aggregator)
        }
        var samples: [String: [[UInt8]]] = [:]
        var order: [String] = []
        var position = aggregator.beginPage(at: now)
        while let family = aggregator.nextPortion(&position) {
            if order.last != family.name { order.append(family.name) }
            samples[family.name, default: []] += family.samples.map(\.labels.encoded)
            #expect(family.samples.count <= 64)
        }
        let whole = aggregator.metricFamilies(at: now).filter { !$0.samples.isEmpty }
        #expect(order == whole.map(\.name))
        for family in whole { #expect(samples[family.name] == family.samples.map(\.labels.encoded), "\(family.name)") }
    }

    @Test("each second, fourth … bucket is on the page where there would be too many series")
    func bucketStep() {
        var aggregator = makeAggregator { $0.maxHistogramSeries = 60 }
        func step(types: Int) -> Int {
            maker.observe(
                (0..<types).map { maker.process(type: "t\($0)") { $0.wait = .integer(1) } }, with: &aggregator)
            return aggregator.bucketStep
        }
        // Four edges, +Inf, sum and count: seven series for a wait, seven for a run time.
        #expect(step(types: 4) == 1)
        #expect(step(types: 5) == 2)
        #expect(step(types: 100) == 4)
        var position = aggregator.beginPage(at: now)
        #expect(aggregator.nextPortion(&position)?.bucketStep == 4)
    }
}

@Suite("Losses before there are any")
struct NoLossesTests {
    @Test("All of them are zero")
    func zero() {
        #expect(numbersBesideZero(in: AggregatorLosses()) == [])
    }
}
