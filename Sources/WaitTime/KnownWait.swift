package import Model

/// A wait of which both ends are known as spans, so that a span for the time in the queue can be made.
package struct KnownWait: Sendable, Equatable {
    /// The attempt that had the wait.
    package struct Attempt: Sendable, Equatable {
        package let task: TaskName
        package let type: TaskType
        package let retryCount: Int
        /// The process span as it is in the trace backend.
        package let process: SpanReference
        package let startNanoseconds: UInt64
    }

    package let attempt: Attempt
    package let producer: SpanReference
    package let seconds: Double

    /// The time since which the attempt could have begun.
    package var readyNanoseconds: UInt64 {
        let waited = UInt64(max(0, seconds * 1e9).rounded())
        return attempt.startNanoseconds > waited ? attempt.startNanoseconds - waited : 0
    }
}

extension KnownWait.Attempt {
    private static let maxIDBytes = 256

    /// Makes an attempt. `queue` and `type` are the tables' own, so that many attempts share their texts.
    init(_ span: borrowing TaskSpan, in body: UnsafeRawBufferPointer, queue: QueueName, type: TaskType) {
        task = TaskName(queue: queue, id: Array(span.taskID.bytes(in: body).prefix(Self.maxIDBytes)))
        self.type = type
        retryCount = Int(exactly: WaitSource.retryCount(of: span, in: body)) ?? 0
        process = span.forwarded
        startNanoseconds = span.startNanoseconds
    }
}
