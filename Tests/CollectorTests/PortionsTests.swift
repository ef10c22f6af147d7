import Logging
import Metrics
import Model
import OTLP
import Platform
import TestSupport
import Testing
import WaitTime

@testable import AsynqRedis
@testable import Collector
@testable import MetricsPush

@Suite("Numbers of queues in portions, as a page takes them")
struct PortionsTests {
    private let clock = TestClock()

    /// Queues whose names ascend, each with so many tasks as its number.
    private func view(_ count: Int, labelBytes: Int = 1 << 20, _ change: (inout RedisSnapshot) -> Void = { _ in })
        -> RedisView
    {
        let queues = (0..<count).map { number in
            var queue = QueueSnapshot(name: QueueName("q\(1000 + number)"))
            queue.size = [.pending: Int64(number)]
            return queue
        }
        var snapshot = RedisSnapshot(queues: queues, takenAt: clock.now, partialErrors: [])
        change(&snapshot)
        let labels = QueueLabelSets.Cache()
        return RedisView(
            snapshot, labels.labels(of: snapshot.queues), maxLabelBytes: labelBytes, hasAsynqmonNames: false)
    }

    private func places(_ view: RedisView) -> [Range<Int>] {
        var (last, all): (QueueName?, [Range<Int>]) = (nil, [])
        repeat { last = view.forPortion(behind: last) { all.append($0) } } while last != nil && all.count < 100
        return all
    }

    @Test(
        "Each queue is in one portion, and a portion has 128 queues at most, but for the last",
        arguments: [(0, [0]), (1, [1]), (128, [128]), (129, [128, 1]), (300, [128, 128, 44])])
    func portions(count: Int, sizes: [Int]) {
        let places = places(view(count))
        #expect(places.map(\.count) == sizes && places.flatMap { Array($0) } == Array(0..<count))
    }

    @Test("A name of an earlier scrape that is gone leads to the queues behind it")
    func goneName() {
        let view = view(300)
        var found = 0..<0
        #expect(view.forPortion(behind: QueueName("q1099x")) { found = $0 } == QueueName("q1227"))
        #expect(found == 100..<228)
        #expect(view.forPortion(behind: QueueName("z")) { found = $0 } == nil)
        #expect(found == 300..<300)
    }

    @Test("Queues that get no label are one, `_other`, which has sums and no waits")
    func others() {
        let view = view(200, labelBytes: 400)
        let sizes = series(view.queueFamilies, named: "asynq_queue_size{")
        let named = sizes.count - 1
        #expect(named > 0 && named < 200)
        let rest = (named..<200).reduce(0, +)
        #expect(sizes.last == "asynq_queue_size{queue=\"_other\",state=\"pending\"} \(rest)")
        #expect(places(view).last?.upperBound == named + 1)
        let waits = SampledWaits(HistogramBounds(ascending: 1), window: .seconds(60), clock: clock.clock)
        waits.observe([WaitSample(queue: QueueName("q1000"), seconds: 2)])
        let lines = series([view.sampledWaits(waits, view.allPlaces)], named: "asynq_queue_wait_sampled_seconds_count")
        #expect(lines.count == named && lines.first?.hasSuffix(" 1") == true && !lines.joined().contains("_other"))
        #expect(view.labelBytes > 0 && view.labelBytes <= 400)
    }

    @Test("What Redis tells of servers, entries and its clock is on the page where it was read, and absent where not")
    func smallFamilies() {
        let server = ServerSnapshot(
            host: ForeignText("w"), pid: 7, id: ForeignText("i"), concurrency: 5, queues: [QueueName("q1000")],
            status: ForeignText("active"), busyWorkers: 2)
        let entry = SchedulerEntrySnapshot(
            id: ForeignText("e"), spec: ForeignText("@daily"), taskType: ForeignText("t"), scheduler: [1],
            nextEnqueue: nil, previousEnqueue: WallTime(seconds: 5))
        let full = view(1) { snapshot in
            snapshot.servers = [server]
            snapshot.schedulerEntries = [entry]
            snapshot.clockOffset = .milliseconds(1500)
        }
        func lines(_ view: RedisView, _ name: String) -> [String] { series(view.smallFamilies, named: name) }
        let names = [
            "asynq_servers", "asynq_queue_servers", "asynq_scheduler_entry_",
            "asynq_redis_clock_offset_seconds",
        ]
        let empty = view(1)
        for name in names {
            #expect(lines(empty, name).isEmpty, "\(name)")
        }
        #expect(
            lines(full, "asynq_redis_clock_offset_seconds") == [
                "asynq_redis_clock_offset_seconds 1.5"
            ])
        #expect(!lines(full, "asynq_scheduler_entry_").isEmpty)
        #expect(series(full.smallFamilies).count > series(empty.smallFamilies).count + 3)
    }

    private func aggregator(_ queues: Int) -> LockedAggregator {
        let options = TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 1), maxTaskTypes: 5, maxQueues: 500, quantileWindow: .seconds(60))
        let aggregator = LockedAggregator(options, clock: clock.clock)
        for number in 0..<queues {
            let body = Array("q\(number)t".utf8)
            var span = TaskSpan()
            span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(UInt64(number) + 1))
            span.queue = ByteRange(offset: 0, count: body.count - 1)
            span.taskType = ByteRange(offset: body.count - 1, count: 1)
            span.wait = .double(0.5)
            span.startNanoseconds = 1_800_000_000_000_000_000
            span.endNanoseconds = span.startNanoseconds + 1
            _ = body.withUnsafeBytes { aggregator.observe([span], in: $0, areForwarded: false) }
        }
        return aggregator
    }

    @Test("A page in portions has the series of the whole page", arguments: [0, 1, 40])
    func taskPortions(queues: Int) {
        let metrics = TaskMetrics(
            aggregator: aggregator(queues), errors: RecentErrors(clock: clock.clock), clock: clock.clock)
        let whole = series(metrics.metricFamilies())
        var parts: [String] = []
        for portion in metrics.portions() { parts += series(portion) }
        #expect(
            parts.sorted() == whole.sorted()
                && whole.count { $0.hasPrefix("asynq_task_wait_duration_seconds_count") } == queues)
    }
}

@Suite("Numbers of the program itself")
struct OwnNumbersTests {
    @Test("Memory is told by part: what it takes, and what it may take")
    func memory() throws {
        let ledger = try MemoryLedger(limit: 256 << 20, MemoryDemands())
        let use = MemoryUse(ledger, [.pages: { 5 }, .bodies: { 7 }])
        let lines = series(MemoryMetrics(use: use).metricFamilies())
        func value(_ name: String, _ part: String) -> String? {
            lines.first { $0.hasPrefix("asynq_collector_memory_\(name){part=\"\(part)\"} ") }.map {
                String($0.split(separator: " ")[1])
            }
        }
        #expect(value("bytes", "pages") == "5" && value("bytes", "bodies") == "7" && value("bytes", "history") == nil)
        for part in ledger.parts { #expect(value("limit_bytes", part.rawValue) == "\(ledger[part])") }
    }

    @Test("Pushes are counted by code; the time of the last complete one is absent before it")
    func pushes() {
        let counters = PushCounters()
        func lines(_ name: String) -> [String] {
            series(
                PushMetrics(counters, interval: .milliseconds(1500)).metricFamilies(),
                named: "asynq_collector_push_" + name
            ).map {
                String($0.dropFirst("asynq_collector_push_".count))
            }
        }
        #expect(lines("last_success") == [] && lines("requests") == [])
        #expect(lines("interval") == ["interval_seconds 1.5"])
        #expect(lines("rejected_points") == ["rejected_points_total 0"])
        counters.recordSuccess(code: "200", seconds: 0.02, rejectedPoints: 3)
        counters.recordSuccess(code: "200", seconds: 0.03, rejectedPoints: 4)
        counters.recordFailure(code: "503", seconds: 0.5, reason: "no")
        counters.recordFailure(code: "memory", seconds: nil, reason: "no")
        counters.recordCompletePush(at: WallTime(nanoseconds: 1_500_000_000))
        #expect(
            lines("requests") == [
                "requests_total{code=\"200\"} 2", "requests_total{code=\"503\"} 1", "requests_total{code=\"memory\"} 1",
            ])
        #expect(lines("last_success") == ["last_success_timestamp_seconds 1.5"])
        #expect(lines("rejected_points") == ["rejected_points_total 7"])
        #expect(lines("duration_seconds_count") == ["duration_seconds_count 3"])
    }
}

@Suite("Errors of the last hour, by where they come from")
struct RecentErrorsTests {
    private let clock = TestClock()

    @Test("A failed attempt has its queue, its type, its text, its span and its end")
    func attempts() throws {
        let errors = RecentErrors(clock: clock.clock)
        var request = NamedSpans()
        let end = UInt64(clock.now.nanoseconds) - 60_000_000_000
        request.add("t1", queue: "mails") { span in
            (span.startNanoseconds, span.endNanoseconds) = (end - 5, end)
            span.isError = true
        }
        request.body.withUnsafeBytes { errors.recordAttempts(request.spans, in: $0) }
        let group = try #require(errors.all.first)
        #expect(errors.all.count == 1 && group.attempts == 1 && group.deadLetters == 0)
        #expect(group.queue == QueueName("mails") && group.example.taskID == ForeignText("t1"))
        #expect(group.lastSeen == clock.now && group.example.at == WallTime(nanoseconds: Int64(end)))
        #expect(group.example.span == request.spans[0].reference.span && errors.bytes > 0)
    }

    @Test("One that ends before it starts ends where it starts; one without times ends now", arguments: [true, false])
    func times(hasStart: Bool) {
        let errors = RecentErrors(clock: clock.clock)
        var request = NamedSpans()
        let start = UInt64(clock.now.nanoseconds) - 30_000_000_000
        request.add("t1") { span in
            span.startNanoseconds = hasStart ? start : 0
            span.endNanoseconds = hasStart ? start - 10_000_000_000 : 0
        }
        request.body.withUnsafeBytes { errors.recordAttempts(request.spans, in: $0) }
        #expect(errors.all.first?.example.at == (hasStart ? WallTime(nanoseconds: Int64(start)) : clock.now))
    }

    @Test("A dead letter has its own time, and is seen now where it arrived while we looked", arguments: [true, false])
    func deadLetters(isArrival: Bool) throws {
        let errors = RecentErrors(clock: clock.clock)
        errors.recordDeadLetters([])
        #expect(errors.all.isEmpty)
        let died = clock.now.advanced(by: .seconds(-600))
        let letter = DeadLetter(
            task: TaskName(queue: QueueName("q"), id: Array("t9".utf8)), type: TaskType("mail"), archivedAt: died,
            errorMessage: ForeignText("no route"), retried: 3, lastFailedAt: nil, context: nil, isArrival: isArrival)
        errors.recordDeadLetters([letter])
        let group = try #require(errors.all.first)
        #expect(group.deadLetters == 1 && group.attempts == 0 && group.taskType == TaskType("mail"))
        #expect(group.example.at == died && group.example.error == ForeignText("no route"))
        #expect(group.lastSeen == (isArrival ? clock.now : died))
    }
}
