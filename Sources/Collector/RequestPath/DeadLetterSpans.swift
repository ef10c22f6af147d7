import AsynqRedis
import Model
import OTLP
import SpanReceiver
import Synchronization

/// Adds a span to the trace of each task that dies. The spool is written to by the thread that appends: a disk that hangs must not
/// hang the reading of Redis.
final class DeadLetterSpans: Sendable {
    /// The number of spans that wait for the disk.
    private static let maxWaiting = 1000

    private let sink: IngestSink
    private let counters: ReceiverCounters
    private let perform: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let state = Mutex((waiting: 0, dropped: UInt64(0)))

    /// - Parameter perform: Has another thread do something, in its turn.
    init(
        sink: IngestSink, counters: ReceiverCounters,
        perform: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.sink = sink
        self.counters = counters
        self.perform = perform
    }

    /// The number of spans that were not made, because the disk did not take those before.
    var dropped: UInt64 { state.withLock { $0.dropped } }

    func take(_ letters: [DeadLetter]) {
        let spans = letters.compactMap { MadeSpan($0) }
        if spans.isEmpty { return }
        let fits = state.withLock { state in
            guard state.waiting + spans.count <= Self.maxWaiting else {
                state.dropped += UInt64(spans.count)
                return false
            }
            state.waiting += spans.count
            return true
        }
        guard fits else { return }
        perform { [self] in
            for request in MadeRequest.requests(spans) { counters.keep(request, in: sink) }
            state.withLock { $0.waiting -= spans.count }
        }
    }
}

extension MadeSpan {
    /// Makes the span that tells a task's trace of its death, which its worker may never have told. Returns nil for a
    /// task that carries no context, or one that was not sampled.
    init?(_ letter: DeadLetter) {
        guard let context = letter.context, context.isSampled, context.reference.isValid else { return nil }
        let died = UInt64(clamping: letter.archivedAt.nanoseconds)
        let id = Self.id(
            Array("dead letter".utf8), context.reference.trace.bytes, letter.task.queue.bytes, letter.task.id,
            Array(String(died).utf8))
        self.init(
            reference: SpanReference(trace: context.reference.trace, span: id), parent: context.reference.span,
            name: ForeignText(letter.task.queue.bytes + Array(" dead letter".utf8)), startNanoseconds: died,
            endNanoseconds: died)
        attributes =
            Self.taskAttributes(letter.task, letter.type, operation: "dead-letter") + [
                ("asynq.task.retry_count", .integer(Int64(letter.retried)))
            ]
        errorMessage = letter.errorMessage
        if let failed = letter.lastFailedAt {
            attributes.append(("asynq.task.last_failed_at", .integer(failed.wholeSeconds)))
        }
    }
}
