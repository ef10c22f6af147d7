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
    /// Its attempt failed: what comes next under the id is the same task again.
    package let hasFailed: Bool

    package init(span: SpanReference, isFirstAttempt: Bool, request: UInt64 = 0, hasFailed: Bool = false) {
        self.span = span
        self.isFirstAttempt = isFirstAttempt
        self.request = request
        self.hasFailed = hasFailed
    }

    /// Whether one that asks after this one asks for the same task.
    package func isFollowed(by next: Asker) -> Bool {
        span == next.span || hasFailed || (request != 0 && request == next.request)
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
