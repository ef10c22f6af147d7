import Metrics
import Model
import Testing

@testable import WaitTime

@Suite("Exemplars of task spans")
struct ExemplarTests {
    private static let time = WallTime(nanoseconds: Int64(t0 + 3 * second))
    private let maker = SpanMaker()
    private var aggregator = makeAggregator()

    private mutating func observe(_ spans: TaskSpan..., areForwarded: Bool = true) {
        maker.body.withUnsafeBytes {
            aggregator.observe(spans, in: $0, at: now, exemplarsAt: areForwarded ? Self.time : nil)
        }
    }

    /// The exemplars of a family, all series and buckets together.
    private mutating func exemplars(_ name: String) -> [Exemplar] {
        let family = aggregator.metricFamilies(at: now).first { $0.name == "asynq_task_\(name)_duration_seconds" }
        return (family?.samples ?? []).flatMap { sample -> [Exemplar] in
            guard case .histogram(let histogram) = sample.value else { return [] }
            return histogram.exemplars.map(\.exemplar)
        }
    }

    @Test("a span is the exemplar of its wait and of its run time, at the time when it was counted")
    mutating func sampled() {
        let span = maker.process { $0.wait = .double(2.5) }
        observe(span)
        let origin = Exemplar.Origin(span: span.reference, time: Self.time)
        #expect(exemplars("wait").map(\.origin) == [origin])
        #expect(exemplars("wait").map(\.value) == [2.5])
        #expect(exemplars("processing").map(\.origin) == [origin])
        #expect(exemplars("processing").map(\.value) == [0.25])
    }

    @Test("what is not forwarded has no exemplars: nobody could open the trace")
    mutating func notForwarded() {
        observe(maker.process { $0.wait = .double(2.5) }, areForwarded: false)
        #expect(exemplars("wait").isEmpty && exemplars("processing").isEmpty)
    }

    @Test(
        "a slow wait names its span where it is forwarded, or where the newest spans are kept in memory",
        arguments: [false, true])
    mutating func slowest(keepsTraces: Bool) {
        var options = TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindow: .seconds(60))
        options.keepsTraces = keepsTraces
        aggregator = TaskAggregator(options)
        let span = maker.process { $0.wait = .double(2.5) }
        observe(span, areForwarded: false)
        #expect(aggregator.slowestWaits(at: now).map(\.span) == [keepsTraces ? span.reference : nil])
        #expect(exemplars("wait").isEmpty)
    }

    @Test("a wait that its producer tells has the process span as its exemplar, whichever came first")
    mutating func paired() {
        let early = maker.process { $0.parent = SpanID(1) }
        let late = maker.process { $0.parent = SpanID(2) }
        observe(early)
        #expect(exemplars("wait").isEmpty)
        observe(maker.producer(1, endedBefore: 50 * second))
        #expect(exemplars("wait").map(\.origin.span) == [early.reference])
        observe(maker.producer(2, endedBefore: 5 * second), late)
        #expect(Set(exemplars("wait").map(\.origin.span)) == [early.reference, late.reference])
    }

    @Test("a span that comes again takes no exemplar's place")
    mutating func duplicate() {
        let first = maker.process { $0.wait = .double(2.5) }
        let second = maker.process { $0.wait = .double(2.6) }
        observe(first, second)
        observe(first)
        #expect(exemplars("wait").map(\.origin.span) == [second.reference])
    }
}
