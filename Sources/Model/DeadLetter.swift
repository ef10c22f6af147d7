/// A task in a queue's archive: its retries are used up, or an operator archived it.
package struct DeadLetter: Sendable, Equatable {
    package var task: TaskName
    package var type: TaskType
    /// The time at which it entered the archive, in whole seconds of the worker's clock.
    package var archivedAt: WallTime
    /// The reason why its last attempt failed; empty where it never ran.
    package var errorMessage: ForeignText
    package var retried: Int
    package var lastFailedAt: WallTime?
    package var context: TraceContext?
    /// The trace of the newest failed attempt, as far as its span is known.
    package var attemptTrace: TraceID?
    /// True if the task was seen to enter the archive, false if it was there at the first reading.
    package var isArrival: Bool

    /// The trace that the task carries, or else that of its attempt.
    package var trace: TraceID? { context?.reference.trace ?? attemptTrace }

    package init(
        task: TaskName, type: TaskType, archivedAt: WallTime, errorMessage: ForeignText, retried: Int,
        lastFailedAt: WallTime?, context: TraceContext?, isArrival: Bool
    ) {
        self.task = task
        self.type = type
        self.archivedAt = archivedAt
        self.errorMessage = errorMessage
        self.retried = retried
        self.lastFailedAt = lastFailedAt
        self.context = context
        self.isArrival = isArrival
    }
}
