/// What is known of a span's task from Redis, asked once for each span.
package struct TaskKnowledge: Sendable, Equatable {
    /// What the task's message carries. nil where the message was not read, or is that of an earlier task under the same id.
    package var message: CarriedMessage?
    /// nil where the attempt was not seen pending, or another span has its time.
    package var readyTime: ReadyTime?
    /// Redis has shown that a worker had begun this very task before: it is no first attempt, whatever the span says.
    package var wasStarted = false

    package init(message: CarriedMessage? = nil, readyTime: ReadyTime? = nil) {
        self.message = message
        self.readyTime = readyTime
    }
}

/// What a task's message in Redis carries.
package struct CarriedMessage: Sendable, Equatable {
    package var context: TraceContext?
    package var enqueuedAt: WallTime?
    /// When it is due, if it was scheduled ahead.
    package var processAt: WallTime?
    /// Attempts that failed so far.
    package var retried: Int32
    /// In whole seconds, as Asynq keeps it; also of attempts that `IsFailure` did not count.
    package var lastFailedAt: WallTime?

    package init(
        context: TraceContext? = nil, enqueuedAt: WallTime? = nil, processAt: WallTime? = nil, retried: Int32 = 0,
        lastFailedAt: WallTime? = nil
    ) {
        self.context = context
        self.enqueuedAt = enqueuedAt
        self.processAt = processAt
        self.retried = retried
        self.lastFailedAt = lastFailedAt
    }
}

/// Since when an attempt could have been run, as the look-ahead saw it. Each is used once, by a span that was accepted.
package struct ReadyTime: Sendable, Equatable {
    package let time: WallTime
    /// Where `SeenTasks` keeps the attempt, and the look that offered it: by then the place may be another task's.
    package let place: Int32
    package let look: UInt64

    package init(time: WallTime, place: Int32, look: UInt64) {
        self.time = time
        self.place = place
        self.look = look
    }
}

/// A task whose message Redis is asked for, and what would help its span.
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
