/// A task that a worker runs now, as its server's last heartbeat tells it (at most five seconds old).
package struct RunningTask: Sendable, Equatable {
    package var queue: QueueName
    package var id: ForeignText
    package var type: TaskType
    package var startedAt: WallTime
    /// The time by which it has to be done, or nil where it has no deadline.
    package var deadlineAt: WallTime?

    package init(
        queue: QueueName, id: ForeignText, type: TaskType, startedAt: WallTime, deadlineAt: WallTime?
    ) {
        self.queue = queue
        self.id = id
        self.type = type
        self.startedAt = startedAt
        self.deadlineAt = deadlineAt
    }
}
