import Metrics
import Model
import Testing

@testable import WaitTime

@Suite("Counting attempts")
struct AggregatorTests {
    private let maker = SpanMaker()
    private var aggregator = makeAggregator()

    @Test("an attempt is counted by queue, type, status and attempt, and its run time by status")
    mutating func attempts() {
        let spans = [
            maker.process(), maker.process { $0.isError = true }, maker.process { $0.retryCount = .integer(2) },
            maker.process(queue: "other"),
        ]
        maker.observe(spans, with: &aggregator)
        let page = aggregator.page()
        let labels = #"queue="q",task_type="t""#
        #expect(page["attempts_total{\(labels),status=\"completed\",attempt=\"first\"}"]?.count == 1)
        #expect(page["attempts_total{\(labels),status=\"failed\",attempt=\"first\"}"]?.count == 1)
        #expect(page["attempts_total{\(labels),status=\"completed\",attempt=\"retry\"}"]?.count == 1)
        #expect(page["processing_duration_seconds{\(labels),status=\"completed\"}"] == Series(count: 2, sum: 0.5))
        #expect(page["processing_duration_seconds{\(labels),status=\"failed\"}"] == Series(count: 1, sum: 0.25))
        #expect(page.keys.contains { $0.contains(#"queue="other""#) })
        #expect(!page.keys.contains { $0.contains("_other") }, "all have found space")
    }

    @Test("an end up to a second before the start is 0 s of run time; what no clock can mean is counted, not observed")
    mutating func runTime() {
        let known: [(start: UInt64, end: UInt64)] = [(t0, t0 - 1), (t0, t0 - second), (t0, t0), (t0, t0 + second)]
        let bad: [(start: UInt64, end: UInt64)] = [
            (t0, 0), (0, t0), (0, 0), (1, t0), (t0, .max), (1, .max), (t0 / 1000, t0), (t0, t0 + 315_360_001 * second),
        ]
        let skewed: [(start: UInt64, end: UInt64)] = [(t0, t0 - second - 1), (t0, 1), (.max, t0)]
        let spans = (known + bad + skewed).map { times in
            maker.process {
                $0.startNanoseconds = times.start
                $0.endNanoseconds = times.end
            }
        }
        maker.observe(spans, with: &aggregator)
        let labels = #"queue="q",task_type="t",status="completed""#
        let page = aggregator.page()
        #expect(page["processing_duration_seconds{\(labels)}"] == Series(count: 4, sum: 1))
        #expect(page["processing_unknown_total{queue=\"q\",reason=\"bad_stamp\"}"]?.count == 8)
        #expect(page["processing_unknown_total{queue=\"q\",reason=\"clock_skew\"}"]?.count == 3)
        #expect(page["attempts_total{\(labels),attempt=\"first\"}"]?.count == 15)
        #expect((aggregator.quantiles95(of: ForeignText("q"), at: now).run ?? 100) < 1.05)
    }

    @Test("each reason that a wait is unknown for is counted")
    mutating func reasons() {
        let spans = [
            maker.process(), maker.process { $0.retryCount = .integer(1) }, maker.process { $0.stamp = .other },
            maker.process { $0.stamp = .integer(Int64(t0 + 5 * second)) },
        ]
        maker.observe(spans, with: &aggregator)
        for reason in UnknownWaitReason.allCases { #expect(aggregator.unknown(reason) == 1, "\(reason)") }
        #expect(aggregator.waits().count == 0)
    }

    @Test("a process span that comes again is observed once and counted as a duplicate")
    mutating func duplicates() {
        let span = maker.process { $0.wait = .integer(2) }
        let sameIDInOtherTrace = maker.process {
            $0.wait = .integer(2)
            $0.reference = SpanReference(trace: trace(99), span: span.reference.span)
        }
        maker.observe([span, span], with: &aggregator)
        maker.observe([span, sameIDInOtherTrace], with: &aggregator)
        #expect(aggregator.duplicates == 2)
        #expect(aggregator.waits() == Series(count: 2, sum: 4))
    }

    @Test("a failed attempt is told once, however often its span comes, and one that succeeded is not")
    mutating func failedOnce() {
        let (failed, good) = (maker.process { $0.isError = true }, maker.process())
        maker.observe([failed, good, failed], with: &aggregator)
        #expect(aggregator.takeFailed().map(\.reference) == [failed.reference])
        maker.observe([failed], with: &aggregator)
        #expect(aggregator.takeFailed().isEmpty && aggregator.duplicates == 2)
    }

    @Test("a duplicate is known among the last so many only")
    mutating func duplicateMemory() {
        aggregator = makeAggregator { $0.duplicateMemory = 3 }
        let spans = (0..<4).map { _ in maker.process() }
        maker.observe(spans, with: &aggregator)
        maker.observe([spans[1], spans[2], spans[3]], with: &aggregator)
        #expect(aggregator.duplicates == 3)
        maker.observe([spans[0]], with: &aggregator)
        #expect(aggregator.duplicates == 3)
    }

    @Test("task types past the limit share _other, each queue having its own limit")
    mutating func typeLimit() {
        aggregator = makeAggregator { $0.maxTaskTypes = 2 }
        let spans = ["a", "b", "c", "d", "a"].map { maker.process(type: $0) } + [maker.process(queue: "r", type: "d")]
        maker.observe(spans, with: &aggregator)
        func count(_ queue: String, _ type: String) -> UInt64? {
            let labels = "queue=\"\(queue)\",task_type=\"\(type)\",status=\"completed\",attempt=\"first\""
            return aggregator.page()["attempts_total{\(labels)}"]?.count
        }
        #expect(count("q", "a") == 2)
        #expect(count("q", "b") == 1)
        #expect(count("q", "c") == nil)
        #expect(count("q", "_other") == 2)
        #expect(count("r", "d") == 1)
    }

    @Test("queues past the limit share _other, their waits and reasons included")
    mutating func queueLimit() {
        aggregator = makeAggregator { $0.maxQueues = 1 }
        let spans =
            ["a", "b", "c"].map { maker.process(queue: $0) { $0.wait = .integer(2) } }
            + [maker.process(queue: "d"), maker.process(queue: "b") { $0.parent = SpanID(1) }]
        maker.observe(spans, with: &aggregator)
        maker.observe([maker.producer(1, endedBefore: second)], with: &aggregator)
        #expect(aggregator.waits(queue: "a") == Series(count: 1, sum: 2))
        #expect(aggregator.waits(queue: "b").count == 0)
        #expect(aggregator.waits(queue: "_other") == Series(count: 3, sum: 5))
        #expect(aggregator.unknown(.noSource, queue: "_other") == 1)
        let queues = aggregator.queueNumbers.compactMap { aggregator.queue($0) }
        let measured = queues.filter { $0.waitQuantiles(at: now) != nil }
        #expect(measured.map(\.queue.text) == ["a", "_other"])
    }

    @Test("a queue or type that is named _other is one series with those past the limit")
    mutating func namedOther() {
        aggregator = makeAggregator {
            $0.maxQueues = 2
            $0.maxTaskTypes = 2
        }
        let names = ["_other", "a", "b", "c", "_other", "_unknown"]
        // The page must not have a series twice: `page` checks that.
        maker.observe(
            names.flatMap { queue in names.map { (queue, $0) } }.map { maker.process(queue: $0, type: $1) },
            with: &aggregator)
        let total = aggregator.page().filter { $0.key.hasPrefix("attempts_total") }.map(\.value.count).reduce(0, +)
        #expect(total == 36)
    }

    @Test("of a name of more than 256 bytes the beginning is kept, with a mark, and counted once")
    mutating func longNames() {
        let long = String(repeating: "x", count: 257)
        let cut = String(repeating: "x", count: 253) + "…"
        for _ in 0..<2 {
            let spans = [maker.process(queue: long, type: long), maker.process(queue: String(long.dropLast()))]
            maker.observe(spans, with: &aggregator)
        }
        let page = aggregator.page()
        #expect(!page.keys.contains { $0.contains(long) })
        let labels = "status=\"completed\",attempt=\"first\""
        #expect(page["attempts_total{queue=\"\(cut)\",task_type=\"\(cut)\",\(labels)}"]?.count == 2)
        #expect(page["attempts_total{queue=\"\(long.dropLast())\",task_type=\"t\",\(labels)}"]?.count == 2)
        #expect(aggregator.cutNames == (1, 1))
        #expect(aggregator.losses.queueOverflows == 0)
    }

    @Test("names that are alike once they are cut have one series, however they were written")
    mutating func namesThatAreCutAlike() {
        let begin = String(repeating: "x", count: 253)
        let names = [begin + "1234", begin + "5678", begin + "…"].map { Array($0.utf8) }
        // Bytes that are no UTF-8 take four each: these names differ, and their labels do not.
        let bytes = [[UInt8](repeating: 0xFF, count: 100), [UInt8](repeating: 0xFF, count: 100) + [0xFE]]
        maker.observe(
            (names + bytes).map { name in
                maker.process { $0.queue = self.maker.range(name) }
            }, with: &aggregator)
        let page = aggregator.page().filter { $0.key.hasPrefix("attempts_total") }
        #expect(
            page["attempts_total{queue=\"\(begin)…\",task_type=\"t\",status=\"completed\",attempt=\"first\"}"]?.count
                == 3)
        // One of the two has the label, the other one counts under `_other`; `page` checks that no series comes twice.
        #expect(page.filter { $0.key.contains(#"queue="_other""#) }.values.map(\.count) == [1])
        #expect(page.values.map(\.count).reduce(0, +) == 5)
    }

    @Test("with 0 task types the label is left out")
    mutating func noTypes() {
        aggregator = makeAggregator { $0.maxTaskTypes = 0 }
        maker.observe(["a", "b", ""].map { maker.process(type: $0) { $0.wait = .integer(1) } }, with: &aggregator)
        let page = aggregator.page()
        #expect(!page.keys.contains { $0.contains("task_type") })
        #expect(page[#"wait_duration_seconds{queue="q"}"#] == Series(count: 3, sum: 3))
        #expect(page[#"attempts_total{queue="q",status="completed",attempt="first"}"#]?.count == 3)
    }

    @Test("names that Unicode calls equal but whose bytes differ stay apart")
    mutating func canonicalEquivalence() {
        maker.observe(["é", "e\u{301}"].map { maker.process(queue: $0, type: $0) }, with: &aggregator)
        let names = aggregator.queueNumbers.compactMap { aggregator.queue($0)?.name.bytes }
        #expect(names == [[0xC3, 0xA9], [0x65, 0xCC, 0x81]])
        maker.observe([maker.process(queue: "é", type: "e\u{301}")], with: &aggregator)
        #expect(aggregator.queueCount == 2)
        #expect(aggregator.queue(1)?.series.count == 3, "two types, and that of `_other`")
    }

    @Test("a span without queue or type is counted as _unknown")
    mutating func unnamed() {
        maker.observe([maker.process(queue: "", type: "")], with: &aggregator)
        #expect(
            aggregator.page()[
                #"attempts_total{queue="_unknown",task_type="_unknown",status="completed",attempt="first"}"#]
                == Series(count: 1, sum: 1))
    }

    @Test("a thousand texts keep their numbers while the table grows")
    func table() {
        var table = BoundedTextTable(limit: 1000)
        func number(_ text: String) -> Int { Array(text.utf8).withUnsafeBytes { table.number(of: $0) } }
        for _ in 0..<2 {
            for queue in 1...1000 { #expect(number("queue-\(queue)") == queue) }
        }
        #expect(number("one more") == BoundedTextTable.other)
        #expect(table.refusals == 1)
        #expect(number("queue-7") == 7)
    }
}
