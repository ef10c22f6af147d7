/// What names one task: ids are unique within a queue only.
package struct TaskName: Hashable, Sendable {
    package let queue: QueueName
    package let id: [UInt8]

    package init(queue: QueueName, id: [UInt8]) {
        self.queue = queue
        self.id = id
    }
}

/// A process span that asks what its task carries.
package struct Asker: Sendable, Equatable {
    package let span: SpanReference
    /// As far as the span says: it names no retry count, or 0.
    package let isFirstAttempt: Bool
    /// The request that the span came in; 0: not known.
    package let request: UInt64

    package init(span: SpanReference, isFirstAttempt: Bool, request: UInt64 = 0) {
        self.span = span
        self.isFirstAttempt = isFirstAttempt
        self.request = request
    }

    /// Both ask for one and the same task.
    package func agrees(with other: Asker) -> Bool {
        span == other.span || (request != 0 && request == other.request)
    }
}

/// A task that a span asks for, and what would help it.
package struct TaskQuestion: Sendable {
    package let task: TaskName
    package let wantsContext: Bool
    package let wantsTime: Bool

    package init(task: TaskName, wantsContext: Bool, wantsTime: Bool) {
        self.task = task
        self.wantsContext = wantsContext
        self.wantsTime = wantsTime
    }
}
