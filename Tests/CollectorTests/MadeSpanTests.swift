import Metrics
import Model
import NIOEmbedded
import OTLP
import Platform
import SpanReceiver
import Testing

@testable import Collector
@testable import WaitTime

private let producer = SpanReference(trace: TraceID(high: 1, low: 2), span: SpanID(3))
private let failed = WallTime(nanoseconds: 1_800_000_005_500_000_000)

/// Each attribute as `key=value`.
private func attributes(_ span: MadeSpan) -> [String] {
    span.attributes.map { key, value in
        switch value {
        case .text(let text): "\(key)=\(text.text)"
        case .integer(let number): "\(key)=\(number)"
        case .double(let number): "\(key)=\(number)"
        }
    }
}

@Suite("The span of a dead letter")
struct DeadLetterSpanTests {
    private static func letter(
        _ context: TraceContext?, id: String = "i", at seconds: Int64 = 1_800_000_007, error: String = "no luck"
    ) -> DeadLetter {
        DeadLetter(
            task: TaskName(queue: QueueName("q"), id: Array(id.utf8)), type: TaskType("mail"),
            archivedAt: WallTime(seconds: seconds), errorMessage: ForeignText(error), retried: 2, lastFailedAt: failed,
            context: context, isArrival: true)
    }

    private static let sampled = TraceContext(reference: producer, isSampled: true)

    @Test("It says in the task's trace when the task died, of what, and after how many retries")
    func content() throws {
        let span = try #require(MadeSpan(Self.letter(Self.sampled)))
        #expect(span.reference.trace == producer.trace && span.parent == producer.span)
        #expect(span.name.text == "q dead letter")
        #expect(span.startNanoseconds == 1_800_000_007_000_000_000 && span.endNanoseconds == span.startNanoseconds)
        #expect(span.errorMessage?.text == "no luck" && span.links.isEmpty)
        #expect(
            attributes(span) == [
                "messaging.system=asynq", "messaging.operation.type=dead-letter", "messaging.destination.name=q",
                "messaging.message.id=i", "asynq.task.type=mail", "asynq.task.retry_count=2",
                "asynq.task.last_failed_at=1800000005",
            ])
    }

    @Test(
        "There is none in a trace that was not sampled, or where the task does not say in which trace it is",
        arguments: [
            nil, TraceContext(reference: producer, isSampled: false),
            TraceContext(reference: SpanReference(trace: producer.trace, span: .none), isSampled: true),
            TraceContext(reference: .none, isSampled: true),
        ])
    func none(context: TraceContext?) {
        #expect(MadeSpan(Self.letter(context)) == nil)
    }

    @Test("Each death of a task has an id of its own, the same whoever makes the span")
    func ids() throws {
        let letters = [
            Self.letter(Self.sampled), Self.letter(Self.sampled, error: "other words"),
            Self.letter(Self.sampled, at: 1_800_000_008), Self.letter(Self.sampled, id: "j"),
        ]
        let ids = try letters.map { try #require(MadeSpan($0)).reference.span }
        #expect(ids[0] == ids[1] && Set(ids).count == 3 && ids.allSatisfy(\.isValid))
    }

    @Test("A thousand wait for the disk; those that come meanwhile are counted as unsent, all or none of a sampling")
    func waiting() {
        let loop = EmbeddedEventLoop()
        let counters = ReceiverCounters()
        let options = TaskAggregatorOptions(
            bounds: HistogramBounds(ascending: 1), maxTaskTypes: 1, maxQueues: 1, quantileWindow: .seconds(60))
        let sink = IngestSink(
            aggregator: LockedAggregator(options, clock: .system), seenTasks: nil, spool: nil, forwarder: nil)
        let spans = DeadLetterSpans(sink: sink, counters: counters) { loop.execute($0) }
        func letters(_ count: Int) -> [DeadLetter] { (0..<count).map { Self.letter(Self.sampled, id: String($0)) } }
        func made() -> UInt64 { counters.current.received[.made] ?? 0 }
        spans.take([Self.letter(nil)])
        spans.take(letters(600))
        spans.take(letters(401))
        #expect(spans.dropped == 401)
        spans.take(letters(400))
        spans.take(letters(1))
        #expect(spans.dropped == 402 && made() == 0)
        loop.run()
        #expect(made() == 1000)
        spans.take(letters(1000))
        loop.run()
        #expect(spans.dropped == 402 && made() == 2000)
    }
}

@Suite("The span of a wait")
struct WaitSpanTests {
    private static func span(
        process: SpanReference, type: String = "mail", id: String = "i", seconds: Double = 2.5
    ) -> MadeSpan {
        let attempt = KnownWait.Attempt(
            task: TaskName(queue: QueueName("q"), id: Array(id.utf8)), type: TaskType(type), retryCount: 1,
            process: process, startNanoseconds: 1_800_000_010_000_000_000)
        return MadeSpan(wait: KnownWait(attempt: attempt, producer: producer, seconds: seconds))
    }

    private static let sibling = SpanReference(trace: producer.trace, span: SpanID(9))
    private static let elsewhere = SpanReference(trace: TraceID(high: 5, low: 6), span: SpanID(9))

    @Test("It lasts from ready to started, below the producer's span and in its trace")
    func content() {
        let span = Self.span(process: Self.sibling)
        #expect(span.reference.trace == producer.trace && span.parent == producer.span)
        #expect(span.name.text == "q wait" && span.errorMessage == nil)
        #expect(span.startNanoseconds == 1_800_000_007_500_000_000 && span.endNanoseconds == 1_800_000_010_000_000_000)
        #expect(
            attributes(span) == [
                "messaging.system=asynq", "messaging.operation.type=wait", "messaging.destination.name=q",
                "messaging.message.id=i", "asynq.task.type=mail", "asynq.task.wait_seconds=2.5",
                "asynq.task.retry_count=1",
            ])
        #expect(
            attributes(Self.span(process: Self.sibling, type: "", id: ""))[3...] == [
                "asynq.task.wait_seconds=2.5", "asynq.task.retry_count=1",
            ])
    }

    @Test("It is linked to the process span where that is in another trace")
    func links() {
        #expect(Self.span(process: Self.sibling).links == [])
        #expect(Self.span(process: Self.elsewhere).links == [Self.elsewhere])
    }

    @Test("The id is that of the attempt: the same each time, another one for another attempt")
    func ids() {
        let id = Self.span(process: Self.sibling).reference.span
        #expect(Self.span(process: Self.sibling, seconds: 3).reference.span == id)
        #expect(Self.span(process: Self.elsewhere).reference.span != id)
    }

    @Test("A thousand spans are one request, and one more begins the next")
    func requests() {
        func counts(_ count: Int) -> [Int] {
            MadeRequest.requests((0..<count).map { _ in Self.span(process: Self.sibling) }).map(\.spanCount)
        }
        #expect(
            counts(0) == [] && counts(1000) == [1000] && counts(1001) == [1000, 1] && counts(2000) == [1000, 1000])
    }
}
