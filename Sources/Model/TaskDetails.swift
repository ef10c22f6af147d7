/// The place and history of a task, as Redis tells them when it is asked; never the payload. A value that is unknown is
/// nil.
package struct TaskDetails: Sendable, Equatable {
    /// The worker that runs the task.
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
    /// The state as Asynq has stored it: a `TaskState`, as a rule.
    package let state: ForeignText
    /// The fields of its message, or nil where the message is unreadable or too large to be read.
    package var message: TaskMessageDetails?
    /// The trace of the newest failed attempt, as far as its span is known.
    package var attemptTrace: TraceID?
    /// The time since which it is pending.
    package var pendingSince: WallTime?
    /// The time at which a scheduled task, or one to be retried, is due.
    package var nextRunAt: WallTime?
    /// The time by which it has to be done.
    package var deadlineAt: WallTime?
    /// The end of its lease, as its worker renewed it last.
    package var leaseExpiresAt: WallTime?
    package var archivedAt: WallTime?
    package var worker: Worker?

    package init(task: TaskName, state: ForeignText) {
        self.task = task
        self.state = state
    }
}

/// The fields of a task's message, without its payload.
package struct TaskMessageDetails: Sendable, Equatable {
    package var type: TaskType
    /// The number of attempts that have failed so far.
    package var retried: Int64
    package var maxRetry: Int64
    /// The error of the last failed attempt; empty where none has failed.
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
    /// The fields of its message, or nil where the message is unreadable or too large to be read.
    package let message: TaskMessageDetails?

    package init(id: ForeignText, at: WallTime, message: TaskMessageDetails?) {
        self.id = id
        self.at = at
        self.message = message
    }
}

/// The queues that hold a task of one id.
package struct TaskSearch: Sendable, Equatable {
    package var found: [QueueName] = []
    /// The number of queues that were searched, of all that exist.
    package var lookedAt = 0
    package var queues: Int

    package init(queues: Int) {
        self.queues = queues
    }
}
