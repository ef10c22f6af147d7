package import Model

/// A wait seen in Redis alone: a task was pending, and then a worker had it.
package struct WaitSample: Sendable, Equatable {
    package let queue: QueueName
    package let seconds: Double
}

/// Tasks that the look-ahead lost sight of, by reason.
package enum LostTaskReason: String, CaseIterable, Sendable {
    /// There were more than one look-ahead sample may ask for.
    case limit
    /// Redis could not be asked for a while: when the task was started is too uncertain.
    case gap
    /// It was started more than a second before it was enqueued: clocks disagree.
    case clockSkew = "clock_skew"
    /// Its `pending_since` is no time of this age.
    case badStamp = "bad_stamp"
}
