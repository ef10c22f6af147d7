import Model
import Testing

@testable import WaitTime

@Suite("Failures by error type")
struct FailureTests {
    private let maker = SpanMaker()
    private var aggregator = makeAggregator()

    private mutating func fail(_ error: String, queue: String = "q", type: String = "t", times: Int = 1) {
        let spans = (0..<times).map { _ in
            maker.process(queue: queue, type: type) { span in
                span.isError = true
                span.errorType = maker.range(Array(error.utf8))
            }
        }
        maker.observe(spans, with: &aggregator)
    }

    private func count(_ error: String, queue: String = "q", type: String = "t") -> UInt64? {
        aggregator.page()["failures_total{queue=\"\(queue)\",task_type=\"\(type)\",error_type=\"\(error)\"}"]?.count
    }

    @Test("Failed attempts are counted by what they failed with, _unknown without; those that succeeded are not")
    mutating func types() {
        fail("*net.OpError", times: 2)
        fail("*net.OpError", type: "u")
        fail("*net.OpError", queue: "r")
        fail("timeout")
        fail("")
        maker.observe([maker.process { $0.errorType = maker.range(Array("timeout".utf8)) }], with: &aggregator)
        #expect(count("*net.OpError") == 2 && count("*net.OpError", type: "u") == 1)
        #expect(count("*net.OpError", queue: "r") == 1 && count("timeout") == 1 && count("_unknown") == 1)
        let all = aggregator.page().filter { $0.key.hasPrefix("failures_total") }
        #expect(all.count == 5, "no series of 0")
    }

    @Test("Types past the limit share _other, each queue and task type having its own; what is unknown takes no place")
    mutating func limit() {
        aggregator = makeAggregator { $0.maxErrorTypes = 2 }
        for error in ["", "a", "b", "c", "d", "a", "_other", "_unknown"] { fail(error) }
        fail("c", type: "u")
        #expect(count("a") == 2 && count("b") == 1 && count("c") == nil && count("_other") == 3)
        #expect(count("_unknown") == 2 && count("c", type: "u") == 1)
        #expect(aggregator.losses.errorTypeOverflows == 3)
        aggregator.setLimits(maxTaskTypes: 200, maxQueues: 1000, maxErrorTypes: 3)
        for error in ["c", "d"] { fail(error) }
        #expect(count("c") == 1 && count("d") == nil && aggregator.losses.errorTypeOverflows == 4)
        aggregator.setLimits(maxTaskTypes: 200, maxQueues: 1000, maxErrorTypes: 0)
        fail("c")
        #expect(count("c") == 2, "whether there are failures by error type stays")
    }

    @Test("A type of more than 256 bytes is rather a message")
    mutating func longTypes() {
        let long = String(repeating: "x", count: 257)
        fail(long)
        fail(String(long.dropLast()))
        #expect(count("_other") == 1 && count(String(long.dropLast())) == 1 && count(long) == nil)
    }

    @Test("With 1 the first type has its series; one that is raised has space, one that is lowered takes none away")
    mutating func reloaded() {
        aggregator = makeAggregator { $0.maxErrorTypes = 1 }
        for error in ["a", "b"] { fail(error) }
        #expect(count("a") == 1 && count("b") == nil && count("_other") == 1)
        aggregator.setLimits(maxTaskTypes: 200, maxQueues: 1000, maxErrorTypes: 2)
        fail("b")
        aggregator.setLimits(maxTaskTypes: 200, maxQueues: 1000, maxErrorTypes: 1)
        for error in ["a", "b", "c", ""] { fail(error) }
        for error in ["a", "b"] { fail(error, type: "new") }
        #expect(count("a") == 2 && count("b") == 2 && count("_other") == 2 && count("_unknown") == 1)
        #expect(count("a", type: "new") == 1 && count("b", type: "new") == nil)
        #expect(aggregator.losses.errorTypeOverflows == 3)
    }

    @Test("With 0 there is no such family")
    mutating func off() {
        aggregator = makeAggregator { $0.maxErrorTypes = 0 }
        fail("a")
        #expect(!aggregator.page().keys.contains { $0.hasPrefix("failures") })
        #expect(aggregator.losses == AggregatorLosses())
        aggregator.setLimits(maxTaskTypes: 200, maxQueues: 1000, maxErrorTypes: 9)
        fail("a")
        #expect(!aggregator.page().keys.contains { $0.hasPrefix("failures") }, "that is decided at the start")
        #expect(aggregator.page().keys.contains { $0.contains(#"status="failed""#) })
    }

    @Test("Where task types have no label, all of a queue count together")
    mutating func noTaskTypes() {
        aggregator = makeAggregator { $0.maxTaskTypes = 0 }
        for type in ["t", "u"] { fail("a", type: type) }
        #expect(aggregator.page()[#"failures_total{queue="q",error_type="a"}"#]?.count == 2)
    }

    @Test("What a queue that has gone has counted stays in the overflows")
    mutating func goneQueue() {
        aggregator = makeAggregator {
            $0.maxErrorTypes = 1
            $0.quantileWindow = .seconds(10)
        }
        aggregator.recordQueuesInRedis(QueuesInRedis([ForeignText("q")]), at: now)
        for error in ["a", "b"] { fail(error) }
        aggregator.recordQueuesInRedis(QueuesInRedis(), at: now.advanced(by: .seconds(100)))
        #expect(count("a") == nil && aggregator.losses.errorTypeOverflows == 1)
    }
}
