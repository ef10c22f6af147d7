package import Model

/// A wait seen in Redis alone: a task was pending, and then a worker had it.
package struct WaitSample: Sendable, Equatable {
    package let queue: QueueName
    package let seconds: Double
}

/// The reasons why the look-ahead lost sight of tasks.
package enum LostTaskReason: String, CaseIterable, Sendable {
    /// There were more than one look-ahead sample may ask for.
    case limit
    /// Redis could not be asked for a while: when the task was started is too uncertain.
    case gap
    /// The task was started more than a second before it was enqueued: clocks disagree.
    case clockSkew = "clock_skew"
    /// The task's `pending_since` can't be the time of a waiting task.
    case badStamp = "bad_stamp"
}
