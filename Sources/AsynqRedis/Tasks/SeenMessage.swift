import Model

/// The known part of one task's message, and the first attempt that was told of it.
///
/// Ids are reused (`asynq.TaskID`): the first attempt of a later task must not be told of the message of the one
/// before.
struct SeenMessage {
    /// The attempt that began last of those that were told.
    private struct Told {
        let span: SpanReference
        let start: UInt64
        /// True if the attempt failed: what comes next under the id is the same task again.
        let hasFailed: Bool
        let look: UInt64
    }

    /// True if there is nothing more to read under this id, as far as is known.
    var isRead = false
    private(set) var carried = CarriedMessage()
    /// The time since which a task that had not failed yet was pending when its message was read. An attempt that began
    /// before belongs to an earlier task. It is nil where the task was not pending, or had failed.
    private var freshSince: WallTime?
    private var told: Told?

    /// Records the message that stands in Redis now, and forgets which attempt was told.
    mutating func record(_ task: StoredTask, pendingSince: WallTime?) {
        isRead = true
        carried = CarriedMessage(
            context: task.context, enqueuedAt: task.enqueuedAt, processAt: task.processAt, retried: task.retried,
            lastFailedAt: task.lastFailedAt)
        freshSince = task.retried == 0 && task.lastFailedAt == nil ? pendingSince : nil
        told = nil
    }

    /// Returns true if the message may be that of the task of an attempt that began at `start`. `stamp` is the time
    /// when that task was enqueued, as its span says.
    private func mayBelong(toAttemptAt start: WallTime, enqueuedAt stamp: WallTime?) -> Bool {
        if let stamp, let enqueuedAt = carried.enqueuedAt, !Stamp.agree(stamp, enqueuedAt) { return false }
        guard let freshSince, start.nanoseconds > 0 else { return true }
        return start >= freshSince
    }

    /// Returns the message for a process span. Returns nil where it was not read, where it is another task's, or where
    /// it was told to an attempt that succeeded before this first one began.
    mutating func tell(_ span: TaskSpan, enqueuedAt stamp: WallTime?, look: UInt64) -> CarriedMessage? {
        guard isRead || carried != CarriedMessage(), mayBelong(toAttemptAt: span.start, enqueuedAt: stamp) else {
            return nil
        }
        if let told, told.span != span.reference {
            if span.startNanoseconds < told.start { return carried }
            if span.mayBeFirstAttempt && !told.hasFailed {
                // Several spans of one request may be of one task. The first of them stays: a request that is sent
                // again begins with it.
                return told.look == look ? carried : nil
            }
        }
        told = Told(
            span: span.reference, start: span.startNanoseconds, hasFailed: span.isError, look: look)
        return carried
    }
}
