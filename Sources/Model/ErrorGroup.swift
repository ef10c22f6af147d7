/// Failed attempts and dead letters of one queue and task type whose errors are alike.
package struct ErrorGroup: Sendable, Equatable {
    /// The newest error of the group, or the newest that names its trace.
    package struct Example: Sendable, Equatable {
        /// The text as it came, cut at a character's end.
        package var error: ForeignText
        package var taskID: ForeignText
        /// The trace of the failed attempt; of a dead letter without a known one, the trace that its task carries.
        package var trace: TraceID?
        /// The span of the failed attempt; nil where it is unknown.
        package var span: SpanID?
        /// The time of the failure, by the clock of its worker.
        package var at: WallTime

        package init(error: ForeignText, taskID: ForeignText, trace: TraceID?, span: SpanID?, at: WallTime) {
            self.error = error
            self.taskID = taskID
            self.trace = trace
            self.span = span
            self.at = at
        }
    }

    package var queue: QueueName
    package var taskType: TaskType
    /// The text with one word in the place of what differs (`AlikeText`).
    package var error: ForeignText
    package var attempts: UInt64 = 0
    package var deadLetters: UInt64 = 0
    package var firstSeen: WallTime
    package var lastSeen: WallTime
    package var example: Example

    package init(
        queue: QueueName, taskType: TaskType, error: ForeignText, example: Example, seenAt: WallTime
    ) {
        self.queue = queue
        self.taskType = taskType
        self.error = error
        self.example = example
        firstSeen = seenAt
        lastSeen = seenAt
    }

    package var count: UInt64 { attempts + deadLetters }
}
