import Model

/// The limits of tasks that Redis may be asked for, so that its load stays small: at a time, in a second, and after
/// useless answers.
struct LookupLimits {
    /// The number of tasks that wait for an answer.
    static let maxWaiting = 4_000
    static let maxPerSecond = 5_000
    /// The bytes of messages in a second above which no more are asked for.
    static let maxBytesPerSecond = 32 << 20
    /// The number of tasks of one request.
    static let maxAtOnce = 1_000
    /// The number of useless answers in a row after which only every `sampling`th request is allowed.
    static let uselessMax = 1_000
    static let sampling: UInt64 = 100

    /// The number of tasks that wait for an answer, those that are being asked for included.
    private(set) var waitingTasks = 0
    private var second: UInt64 = 0
    private var tasksInSecond = 0
    private var bytesInSecond = 0
    private var uselessInARow = 0
    private var requests: UInt64 = 0

    /// Counts a request for a number of tasks, or returns the reason why it is not made.
    mutating func admit(_ tasks: Int, at now: MonotonicTime) -> TaskLookup.Outcome? {
        requests += 1
        if uselessInARow >= Self.uselessMax && requests % Self.sampling != 0 { return .skipped }
        let second = now.nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            tasksInSecond = 0
            bytesInSecond = 0
        }
        if waitingTasks + tasks > Self.maxWaiting || tasksInSecond + tasks > Self.maxPerSecond
            || bytesInSecond > Self.maxBytesPerSecond
        {
            return .limit
        }
        tasksInSecond += tasks
        waitingTasks += tasks
        return nil
    }

    mutating func recordRead(_ bytes: Int) {
        bytesInSecond += bytes
    }

    /// Records the end of a request. One that found something for a span ends the row of useless answers.
    mutating func recordAnswer(_ outcomes: [TaskLookup.Outcome: UInt64], of tasks: Int) {
        waitingTasks -= tasks
        if outcomes[.found, default: 0] > 0 {
            uselessInARow = 0
        } else {
            uselessInARow += Int(
                outcomes[.empty, default: 0] + outcomes[.gone, default: 0] + outcomes[.unreadable, default: 0])
        }
    }
}
