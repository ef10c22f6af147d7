import Model

/// What was read of one task's message, and which first attempt was told of it.
///
/// Ids come again (`asynq.TaskID`): the first attempt of a later task must not be told of the message of the one before.
struct SeenMessage {
    private struct Told {
        let span: SpanReference
        /// What comes next under the id is the same task again.
        let hasFailed: Bool
        let look: UInt64
    }

    /// Whether there is nothing more to be read under this id, as far as is known.
    var isRead = false
    private var carried = CarriedMessage()
    private var told: Told?

    /// Forgets which attempt was told: this is the message that stands in Redis now.
    mutating func record(_ task: StoredTask) {
        isRead = true
        carried = CarriedMessage(
            context: task.context, enqueuedAt: task.enqueuedAt, processAt: task.processAt, retried: task.retried)
        told = nil
    }

    /// The message, for a process span; nil where it was not read, or where another span's first attempt was told of it.
    mutating func tell(_ span: TaskSpan, look: UInt64) -> CarriedMessage? {
        guard isRead || carried != CarriedMessage() else { return nil }
        guard span.mayBeFirstAttempt else { return carried }
        if let told, told.span != span.reference, !told.hasFailed {
            // Several spans of one request may be of one task. The first of them stays: a request that is sent again begins
            // with it.
            return told.look == look ? carried : nil
        }
        told = Told(span: span.reference, hasFailed: span.isError, look: look)
        return carried
    }
}
