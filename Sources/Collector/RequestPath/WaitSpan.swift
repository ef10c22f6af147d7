import Model
import OTLP
import WaitTime

extension MadeSpan {
    /// Makes the span of the time in the queue, between the producer's span and the process span: `<queue> wait`. It
    /// lies in the producer's trace, and beside the process span, not above it, because Tempo's service graph pairs
    /// direct parents.
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
}
