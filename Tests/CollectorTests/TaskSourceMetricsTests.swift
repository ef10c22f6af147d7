import Logging
import Metrics
import Model
import Platform
import Redis
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Collector
@testable import SpanReceiver

@Suite("What Redis knows of tasks, on the page")
struct TaskSourceMetricsTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let monitor: RedisMonitor
    private let lookup: TaskLookup
    private let relinker: TraceRelinker
    private let clock = TestClock()

    /// Nothing is started: what is admitted waits.
    init() throws {
        let target = try RedisURL.parse("redis://127.0.0.1:1")
        monitor = try RedisMonitor(
            RedisMonitorOptions(target: target, interval: .seconds(5), timeout: .seconds(3)), clock: clock.clock,
            logger: Self.logger)
        lookup = try TaskLookup(
            target, tasks: monitor.seenTasks, clock: clock.clock, logger: Self.logger, patience: .nanoseconds(1))
        relinker = TraceRelinker(
            .parent, source: FilteredTaskKnowledge(seen: monitor.seenTasks, lookup: lookup, filter: .all))
    }

    private func lines(_ name: String, _ deadLetterSpans: DeadLetterSpans? = nil) -> [String] {
        let source = RelinkMetrics(
            relinker: relinker, lookup: lookup, monitor: monitor, deadLetterSpans: deadLetterSpans)
        return series(source.metricFamilies(), named: "asynq_collector_" + name)
    }

    @Test("Look-ups are counted by result; those for which no space was left to wait are beyond a limit as well")
    func lookups() {
        let questions = (0..<1001).map {
            TaskQuestion(
                task: TaskName(queue: QueueName("q"), id: Array(String($0).utf8)), wantsContext: true, wantsTime: true)
        }
        let isAsked = lookup.lookUp(questions, whenDone: {})
        #expect(isAsked)
        relinker.recordOverLimit(20)
        let results = [
            ("found", 0), ("empty", 0), ("gone", 0), ("failed", 0), ("error", 0), ("down", 0), ("limit", 21),
            ("skipped", 0),
        ]
        #expect(
            lines("task_lookups") == results.map { "asynq_collector_task_lookups_total{result=\"\($0.0)\"} \($0.1)" })
    }

    @Test("Spans that got their context back are counted by what it became, and those that did not apart")
    func relinked() throws {
        let contexts = (1...3).map { number in
            TraceContext(
                reference: SpanReference(trace: TraceID(high: 8, low: UInt64(number)), span: SpanID(1)), isSampled: true
            )
        }
        for (number, context) in contexts.enumerated() {
            monitor.seenTasks.record(
                queue: QueueName("q"), id: Array("t\(number)".utf8), ready: nil,
                task: StoredTask(retried: 0, context: context))
        }
        var request = NamedSpans()
        for id in ["t0", "t1", "t2", "x"] { request.add(id) }
        request.look(in: monitor.seenTasks)
        // No span lies in the body, so that none is alone in its trace.
        let findings = try [UInt8]().withUnsafeBytes { try relinker.relink(&request.spans, in: $0) }
        relinker.recordAccepted(findings)
        #expect(
            lines("relinked") == [
                "asynq_collector_relinked_spans_total{relation=\"link\"} 3",
                "asynq_collector_relinked_spans_total{relation=\"parent\"} 0",
            ])
        #expect(lines("unlinked") == ["asynq_collector_unlinked_spans_total 1"])
        #expect(lines("unread_dead_letters") == ["asynq_collector_unread_dead_letters_total 0"])
        #expect(lines("unsent") == [], "dead letters become no spans")
    }

    @Test("The look-ahead's numbers: tasks that are remembered, those that were forgotten, and those it lost by reason")
    func lookAhead() {
        for id in ["a", "b"] {
            monitor.seenTasks.record(queue: QueueName("q"), id: Array(id.utf8), ready: WallTime(seconds: 5), task: nil)
        }
        let waits = SampledWaits(HistogramBounds(ascending: 1), window: .seconds(60), clock: clock.clock)
        let families = LookAheadMetrics(
            views: RedisViews(monitor, maxLabelBytes: RedisLabelBudget.maxBytes, hasAsynqmonNames: false), waits: waits
        )
        .metricFamilies()
        let lost = ["limit", "gap", "clock_skew", "bad_stamp"].map {
            "asynq_collector_look_ahead_lost_tasks_total{reason=\"\($0)\"} 0"
        }
        #expect(
            series(families) == [
                "asynq_collector_look_ahead_tasks 2", "asynq_collector_look_ahead_evicted_tasks_total 0",
            ] + lost)
    }

    private func samples(_ queue: String, _ seconds: [Double]) -> [WaitSample] {
        seconds.map { WaitSample(queue: QueueName(queue), seconds: $0) }
    }

    @Test("Sampled waits go on where they were when a queue returns, and their quantile is that of the window")
    func sampledWaits() throws {
        let waits = SampledWaits(HistogramBounds(ascending: 1, 10), window: .seconds(60), clock: clock.clock)
        func counts(_ queues: String...) -> [String] {
            let family = waits.family(of: queues.map { (QueueName($0), LabelSet(["queue": $0])) })
            return series([family], named: "asynq_queue_wait_sampled_seconds_count")
        }
        waits.observe(samples("q", [0.5, 5, 50]))
        waits.observe([])
        func line(_ queue: String, _ count: Int) -> String {
            "asynq_queue_wait_sampled_seconds_count{queue=\"\(queue)\"} \(count)"
        }
        #expect(counts("q", "r") == [line("q", 3), line("r", 0)])
        #expect(counts("r") == [line("r", 0)])
        let quantile = try #require(waits.quantile95(of: QueueName("q")))
        #expect(abs(quantile / 50 - 1) < 0.05)
        #expect(waits.quantile95(of: QueueName("r")) == nil)
        clock.advance(seconds: 61)
        #expect(waits.quantile95(of: QueueName("q")) == nil)
        waits.observe(samples("q", [2]))
        #expect(counts("q") == [line("q", 4)])
        #expect(try abs(#require(waits.quantile95(of: QueueName("q"))) / 2 - 1) < 0.05)
    }

    @Test(
        "Beyond 20,000 queues those that are gone from Redis are forgotten; before, and while none are read, all stay")
    func sampledQueues() {
        let waits = SampledWaits(HistogramBounds(ascending: 1), window: .seconds(60), clock: clock.clock)
        func name(_ number: Int) -> QueueName { QueueName("q\(number)") }
        func observe(_ numbers: Range<Int>) {
            // Windows take kilobytes; they are gone before there are many.
            for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 500) {
                waits.observe(
                    (start..<min(start + 500, numbers.upperBound)).map { WaitSample(queue: name($0), seconds: 1) })
                clock.advance(seconds: 61)
                waits.tidy(present: [])
            }
        }
        func isKnown(_ number: Int) -> Bool {
            waits.family(of: [(name(number), LabelSet(["queue": "q"]))]).samples.contains { sample in
                if case .histogram(let histogram) = sample.value { histogram.count > 0 } else { false }
            }
        }
        let present = [QueueSnapshot(name: name(3))]
        observe(0..<20_000)
        waits.tidy(present: present)
        #expect(isKnown(3) && isKnown(4) && isKnown(19_999))
        observe(20_000..<20_001)
        #expect(isKnown(4), "no queue was read, which says nothing of them")
        waits.tidy(present: present)
        #expect(isKnown(3) && !isKnown(4) && !isKnown(20_000))
    }
}
