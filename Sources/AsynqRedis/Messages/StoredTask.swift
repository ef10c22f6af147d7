package import Model

/// What the collector needs of a task's message; TaskMessage.swift reads it.
package struct StoredTask: Equatable, Sendable {
    /// The most bytes of `errorMessage` and `type`: a panic with its stack can be long, and it goes into spans and onto
    /// pages.
    package static let maxErrorBytes = 1024

    package var type = TaskType([])
    /// Attempts that failed so far.
    package var retried: Int32 = 0
    /// What the last attempt failed with, cut at a character's end.
    package var errorMessage = ForeignText([])
    package var lastFailedAt: WallTime?
    /// From the headers (Asynq 0.26 and later), else from the payload.
    package var context: TraceContext?
    /// By the producer's clock, where it says so.
    package var enqueuedAt: WallTime?
    package var processAt: WallTime?

    package init(retried: Int32 = 0, context: TraceContext? = nil) {
        self.retried = retried
        self.context = context
    }
}
