package import Model

/// The fields of a task's message that the collector needs; TaskMessage.swift reads it.
package struct StoredTask: Equatable, Sendable {
    /// The most bytes of `errorMessage` and `type`: a panic with its stack can be long, and it goes into spans and onto
    /// pages.
    package static let maxErrorBytes = 1024

    package var type = TaskType([])
    /// The number of attempts that have failed so far.
    package var retried: Int32 = 0
    /// The error of the last attempt, cut at a character's end.
    package var errorMessage = ForeignText([])
    package var lastFailedAt: WallTime?
    /// The context from the headers (Asynq 0.26 and later), else from the payload.
    package var context: TraceContext?
    /// The time of enqueueing by the producer's clock, where the task says it.
    package var enqueuedAt: WallTime?
    package var processAt: WallTime?

    package init(retried: Int32 = 0, context: TraceContext? = nil) {
        self.retried = retried
        self.context = context
    }
}
