/// Where a task is and what became of it, as Redis tells it when it is asked; never its payload. What is not known is nil.
package struct TaskDetails: Sendable, Equatable {
    /// Who runs it.
    package struct Worker: Sendable, Equatable {
        package var host: ForeignText
        package var pid: Int64
        package var serverID: ForeignText
        package var startedAt: WallTime

        package init(host: ForeignText, pid: Int64, serverID: ForeignText, startedAt: WallTime) {
            self.host = host
            self.pid = pid
            self.serverID = serverID
            self.startedAt = startedAt
        }
    }

    package let task: TaskName
    /// As Asynq has stored it: a `TaskState`, as a rule.
    package let state: ForeignText
    /// What its message says; nil where that is too large to be read, or unreadable.
    package var message: TaskMessageDetails?
    /// Since when it is pending.
    package var pendingSince: WallTime?
    /// When a scheduled task, or one to be retried, is due.
    package var nextRunAt: WallTime?
    /// Until when it has to be done.
    package var deadlineAt: WallTime?
    /// Until when its worker has said that it lives.
    package var leaseExpiresAt: WallTime?
    package var archivedAt: WallTime?
    package var worker: Worker?

    package init(task: TaskName, state: ForeignText) {
        self.task = task
        self.state = state
    }
}

/// What a task's message says of it, without its payload.
package struct TaskMessageDetails: Sendable, Equatable {
    package var type: TaskType
    /// Attempts that failed so far.
    package var retried: Int64
    package var maxRetry: Int64
    /// Empty where no attempt has failed.
    package var lastError: ForeignText
    package var lastFailedAt: WallTime?
    package var deadlineAt: WallTime?
    package var completedAt: WallTime?
    package var payloadBytes: Int
    package var trace: TraceID?

    package init(
        type: TaskType, retried: Int64, maxRetry: Int64, lastError: ForeignText, lastFailedAt: WallTime?,
        deadlineAt: WallTime?, completedAt: WallTime?, payloadBytes: Int, trace: TraceID?
    ) {
        self.type = type
        self.retried = retried
        self.maxRetry = maxRetry
        self.lastError = lastError
        self.lastFailedAt = lastFailedAt
        self.deadlineAt = deadlineAt
        self.completedAt = completedAt
        self.payloadBytes = payloadBytes
        self.trace = trace
    }
}

/// A task that will be tried again.
package struct DueRetry: Sendable, Equatable {
    package let id: ForeignText
    package let at: WallTime
    /// nil where it is too large to be read, or unreadable.
    package let message: TaskMessageDetails?

    package init(id: ForeignText, at: WallTime, message: TaskMessageDetails?) {
        self.id = id
        self.at = at
        self.message = message
    }
}

/// In which queues there is a task of an id.
package struct TaskSearch: Sendable, Equatable {
    package var found: [QueueName] = []
    /// Queues that were looked at, of those that there are.
    package var lookedAt = 0
    package var queues: Int

    package init(queues: Int) {
        self.queues = queues
    }
}
