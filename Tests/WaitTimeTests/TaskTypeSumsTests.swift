import Metrics
import Model
import TestSupport
import Testing

@testable import WaitTime

@Suite("The sums of a queue's task types")
struct TaskTypeSumsTests {
    private let maker = SpanMaker()

    private func observe(_ spans: [TaskSpan]) throws -> QueueSeries {
        var aggregator = makeAggregator()
        maker.observe(spans, with: &aggregator)
        return try #require(aggregator.series(of: QueueName("q")))
    }

    private func process(_ type: String, wait: Double, fails: Bool = false) -> TaskSpan {
        maker.process(type: type) { span in
            span.wait = .double(wait)
            span.isError = fails
        }
    }

    @Test("Attempts, failures and percentiles of each type; the type with most attempts comes first")
    func types() throws {
        let spans = [process("rare", wait: 5)] + (0..<3).map { process("often", wait: 0.5, fails: $0 == 0) }
        let types = try observe(spans).taskTypes
        #expect(types.map(\.type) == [TaskType("often"), TaskType("rare")])
        #expect(types.map(\.attempts) == [3, 1] && types.map(\.failed) == [1, 0])
        let (often, rare) = (try #require(types.first), try #require(types.last))
        let waits = [often.waitP95, rare.waitP95].map { $0 ?? 0 }
        #expect((0.1...1).contains(waits[0]) && (1...10).contains(waits[1]))
        // Each ran for a quarter of a second.
        for type in types { #expect((0.1...1).contains(type.runP95 ?? 0)) }
    }

    @Test(
        "A queue of one type has the same p95 as its type, as long as the window has all its waits", arguments: 1...40)
    func sameQuantile(count: Int) throws {
        var random = SeededGenerator.fresh(for: "p95 of a queue and of its type")
        for longest in [8, 0.01, 2000] as [Double] {
            let spans = (0..<count).map { _ in process("t", wait: Double.random(in: 0...longest, using: &random)) }
            let series = try observe(spans)
            let found = try #require(series.taskTypes.first)
            let ofQueue = try #require(series.waitQuantiles(at: now))
            #expect(found.waitP95 == ofQueue[1])
        }
    }

    @Test("Where no attempt completed, the run times of those that failed tell; where there were none, nothing does")
    func failedRuns() throws {
        let types = try observe([process("t", wait: 5, fails: true)]).taskTypes
        #expect(types.count == 1 && types[0].attempts == 1 && types[0].failed == 1 && (types[0].runP95 ?? 0) > 0.1)
        let produced = try observe([maker.producer(7, endedBefore: second), maker.process { $0.wait = .double(1) }])
        #expect(produced.taskTypes.map(\.failed) == [0])
    }

    @Test("Waits beyond an objective are counted over all types; one that is no edge of a bucket has no count")
    func objective() throws {
        let series = try observe([
            process("a", wait: 0.05), process("a", wait: 1), process("b", wait: 1.01), process("b", wait: 50),
        ])
        func counts(_ objective: Double) -> [UInt64]? {
            series.waits(longerThan: objective).map { [$0.all, $0.longer] }
        }
        #expect(counts(0.1) == [4, 3] && counts(1) == [4, 2] && counts(10) == [4, 1] && counts(100) == [4, 0])
        #expect(counts(2) == nil)
    }
}
