import AsynqRedis
import Model
import NIOCore
import OTLP
import SpanReceiver
import Synchronization
import WaitTime

// The spans that the collector makes itself.

extension MadeSpan {
    /// The time in the queue, between the producer's span and the process span: `<queue> wait`, in the producer's trace and
    /// beside the process span, not above it, for Tempo's service graph pairs direct parents.
    init(wait: KnownWait) {
        let attempt = wait.attempt
        let id = Self.id(
            Array("wait".utf8), wait.producer.trace.bytes, attempt.process.trace.bytes, attempt.process.span.bytes)
        self.init(
            reference: SpanReference(trace: wait.producer.trace, span: id), parent: wait.producer.span,
            name: ForeignText(attempt.task.queue.bytes + Array(" wait".utf8)),
            startNanoseconds: wait.readyNanoseconds, endNanoseconds: attempt.startNanoseconds)
        attributes =
            Self.taskAttributes(attempt.task, attempt.type, operation: "wait") + [
                ("asynq.task.wait_seconds", .double(wait.seconds)),
                ("asynq.task.retry_count", .integer(Int64(attempt.retryCount))),
            ]
        if attempt.process.trace != wait.producer.trace { links = [attempt.process] }
    }

    /// That a task has died, in its trace, although its worker may never have said so. nil where the task carries no context,
    /// or one that was not sampled.
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

    /// `operation` is none of a worker: or another collector would take the span for one of an attempt.
    static func taskAttributes(
        _ task: TaskName, _ type: TaskType, operation: String
    ) -> [(key: String, value: Value)] {
        var attributes: [(key: String, value: Value)] = [
            ("messaging.system", .text(ForeignText("asynq"))),
            ("messaging.operation.type", .text(ForeignText(operation))),
            ("messaging.destination.name", .text(task.queue)),
        ]
        if !task.id.isEmpty { attributes.append(("messaging.message.id", .text(ForeignText(task.id)))) }
        if !type.bytes.isEmpty { attributes.append(("asynq.task.type", .text(type))) }
        return attributes
    }
}

/// Adds a span to the trace of each task that dies. The spool is written to on the receiver's event loop: a disk that hangs
/// must not hang the reading of Redis.
final class DeadLetterSpans: Sendable {
    /// Letters that wait for the disk.
    private static let maxWaiting = 1000

    private let sink: IngestSink
    private let counters: ReceiverCounters
    private let eventLoop: any EventLoop
    private let state = Mutex((waiting: 0, dropped: UInt64(0)))

    init(sink: IngestSink, counters: ReceiverCounters, eventLoop: any EventLoop) {
        self.sink = sink
        self.counters = counters
        self.eventLoop = eventLoop
    }

    /// Spans that were not made, because the disk did not take those before.
    var dropped: UInt64 { state.withLock { $0.dropped } }

    func take(_ letters: [DeadLetter]) {
        let spans = letters.compactMap { MadeSpan($0) }
        if spans.isEmpty { return }
        let hasRoom = state.withLock { state in
            guard state.waiting + spans.count <= Self.maxWaiting else {
                state.dropped += UInt64(spans.count)
                return false
            }
            state.waiting += spans.count
            return true
        }
        guard hasRoom else { return }
        eventLoop.execute { [self] in
            for part in IngestSink.requests(spans) { counters.keep(part, in: sink) }
            state.withLock { $0.waiting -= spans.count }
        }
    }
}
