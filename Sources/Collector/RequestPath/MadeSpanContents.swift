import Model
import OTLP
import SpanReceiver
import WaitTime

// What stands in the spans that the collector makes itself, and the requests that they are kept as.

extension MadeRequest {
    /// As many spans as Tempo digests well in one request.
    private static let maxSpans = 1000

    static func requests(_ spans: [MadeSpan]) -> [MadeRequest] {
        stride(from: 0, to: spans.count, by: maxSpans).map { start in
            let part = Array(spans[start..<min(start + maxSpans, spans.count)])
            return MadeRequest(payload: MadeSpan.request(part), spanCount: part.count)
        }
    }
}

extension MadeSpan {
    /// The span of the time in the queue, between the producer's span and the process span: `<queue> wait`. It lies in the
    /// producer's trace, and beside the process span, not above it, for Tempo's service graph pairs direct parents.
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

    /// The span that says in a task's trace that it has died, although its worker may never have said so. nil where the task
    /// carries no context, or one that was not sampled.
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

    /// `operation` is none of a worker's, or another collector would take the span for one of an attempt.
    private static func taskAttributes(
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
