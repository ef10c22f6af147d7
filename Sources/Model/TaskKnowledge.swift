/// The facts that Redis has of a span's task, asked for once for each span.
package struct TaskKnowledge: Sendable, Equatable {
    /// The values that the task's message carries. It is nil where the message was not read, or belongs to an earlier
    /// task under the same id.
    package var message: CarriedMessage? {
        get { carried?.message }
        set { carried = newValue.map(Carried.init) }
    }
    /// The ready time of the attempt. It is nil where the attempt was not seen pending, or another span has used the
    /// time.
    package var readyTime: ReadyTime?
    /// True if Redis has shown that a worker had begun this very task before. The attempt is then a later one, whatever
    /// the span says.
    package var wasStarted = false

    /// A message that was read. It has an object of its own: few spans have one, and each is copied with its span.
    private final class Carried: Sendable {
        let message: CarriedMessage

        init(_ message: CarriedMessage) {
            self.message = message
        }
    }

    private var carried: Carried?

    package init(message: CarriedMessage? = nil, readyTime: ReadyTime? = nil) {
        carried = message.map(Carried.init)
        self.readyTime = readyTime
    }

    package static func == (left: TaskKnowledge, right: TaskKnowledge) -> Bool {
        left.message == right.message && left.readyTime == right.readyTime && left.wasStarted == right.wasStarted
    }
}

/// The values that a task's message in Redis carries.
package struct CarriedMessage: Sendable, Equatable {
    package var context: TraceContext?
    package var enqueuedAt: WallTime?
    /// The time at which it is due, if it was scheduled ahead.
    package var processAt: WallTime?
    /// The number of attempts that have failed so far.
    package var retried: Int32
    /// The time of the last failure, in whole seconds, as Asynq keeps it. Attempts that `IsFailure` did not count are
    /// included.
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

/// The time since which an attempt could have been run, as the look-ahead saw it. Each is used once, by a span that was
/// accepted.
package struct ReadyTime: Sendable, Equatable {
    package let time: WallTime
    /// The place in which `SeenTasks` keeps the attempt, and the number of the call that offered it. By then the place may be another
    /// task's.
    package let place: Int32
    package let look: UInt64

    package init(time: WallTime, place: Int32, look: UInt64) {
        self.time = time
        self.place = place
        self.look = look
    }
}

/// A task whose message Redis is asked for, and the part of it that would help its span.
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
