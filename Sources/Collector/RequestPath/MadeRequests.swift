import Model
import OTLP
import SpanReceiver

// These requests have the spans that the collector makes itself (WaitSpan.swift, DeadLetterSpans.swift).

extension MadeRequest {
    /// The number of spans that Tempo digests well in one request.
    private static let maxSpans = 1000

    static func requests(_ spans: [MadeSpan]) -> [MadeRequest] {
        stride(from: 0, to: spans.count, by: maxSpans).map { start in
            let part = Array(spans[start..<min(start + maxSpans, spans.count)])
            return MadeRequest(payload: MadeSpan.request(part), spanCount: part.count)
        }
    }
}

extension MadeSpan {
    /// Returns the attributes of a span. `operation` differs from a worker's, or another collector would take the span
    /// for one of an attempt.
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
