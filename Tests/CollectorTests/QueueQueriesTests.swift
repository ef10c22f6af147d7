import Attention
import Metrics
import Model
import Platform
import TestSupport
import Testing
import WaitTime

@testable import AsynqRedis
@testable import Collector
@testable import Web

@Suite("What is asked about queues")
struct QueueQueriesTests {
    private let clock = TestClock()
    private let aggregator: LockedAggregator
    private let sampledWaits: SampledWaits
    private let loads = QueueLoads(window: .seconds(60))

    init() {
        let bounds = HistogramBounds(ascending: 1)
        let options = TaskAggregatorOptions(
            bounds: bounds, maxTaskTypes: 1, maxQueues: 10, quantileWindow: .seconds(60))
        aggregator = LockedAggregator(options, clock: clock.clock)
        sampledWaits = SampledWaits(bounds, window: .seconds(60), clock: clock.clock)
    }

    private var queries: QueueQueries {
        QueueQueries(
            redis: nil, aggregator: aggregator, sampledWaits: sampledWaits, loads: loads, maxAge: .seconds(18),
            targetUtilization: 0.8, clock: clock.clock)
    }

    private func observe(_ queue: String, wait: Int64, run: UInt64) {
        let body = Array(queue.utf8)
        var span = TaskSpan()
        span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(UInt64(wait)))
        span.queue = ByteRange(offset: 0, count: body.count)
        span.startNanoseconds = 1_800_000_000_000_000_000
        span.endNanoseconds = span.startNanoseconds + run * 1_000_000_000
        span.wait = .integer(wait)
        _ = body.withUnsafeBytes { aggregator.observe([span], in: $0, areForwarded: false) }
    }

    private func isNear(_ found: Double?, _ expected: Double) -> Bool {
        found.map { abs($0 / expected - 1) < 0.05 } ?? false
    }

    @Test(
        "The wait of a queue is what spans tell; only without them what was sampled in Redis, and then nothing at last")
    func wait() {
        let name = QueueName("q")
        #expect(queries.question(about: name).waitP95Seconds == nil)
        sampledWaits.observe([WaitSample(queue: name, seconds: 40)])
        #expect(isNear(queries.question(about: name).waitP95Seconds, 40))
        #expect(queries.question(about: name).runP95Seconds == nil)
        observe("q", wait: 5, run: 20)
        #expect(isNear(queries.question(about: name).waitP95Seconds, 5))
        #expect(isNear(queries.question(about: name).runP95Seconds, 20))
        #expect(queries.question(about: QueueName("other")).waitP95Seconds == nil)
        clock.advance(seconds: 61)
        sampledWaits.observe([WaitSample(queue: name, seconds: 30)])
        #expect(isNear(queries.question(about: name).waitP95Seconds, 30), "the spans' window is empty")
        clock.advance(seconds: 61)
        #expect(queries.question(about: name).waitP95Seconds == nil)
    }

    @Test("The load is that of the queue that is asked for")
    func load() {
        for processed in [0, 30] as [Int64] {
            var queue = QueueSnapshot(name: QueueName("q"))
            queue.processed = processed
            queue.size = [.pending: 0, .active: 3]
            loads.record([queue], at: clock.clock.monotonic())
            clock.advance(seconds: 10)
        }
        #expect(
            queries.question(about: QueueName("q")).load == QueueLoads.Load(arrivalsPerSecond: 3, meanRunSeconds: 1))
        #expect(queries.question(about: QueueName("r")).load == nil)
    }

    @Test("Without Redis the rows are those of the queues that spans name, and no number of workers is made up")
    func withoutRedis() {
        observe("b", wait: 5, run: 1)
        observe("a", wait: 7, run: 1)
        #expect(queries.rows.map(\.name) == [QueueName("a"), QueueName("b")])
        #expect(queries.rows.allSatisfy { $0.snapshot == nil && $0.wait?.count == 3 })
        guard case .stale(let reason) = queries.scale(of: QueueName("a")) else {
            Issue.record("an answer without Redis")
            return
        }
        #expect(reason.contains("redis.url is none"))
    }
}
