import Model
import TestSupport

/// An attempt at a task as Asynq's rules make it, and what is true of it.
struct ModelledAttempt {
    let queue: Int
    let id: String
    /// What the span says of its enqueueing.
    let name: Name
    /// Nanoseconds since `RetryRulesModel.origin`, as all times here.
    let start: Int64
    let end: Int64
    let retryCount: Int64
    let isError: Bool
    /// No attempt at the same enqueueing has started before.
    let isFirst: Bool
    let isPutBack: Bool
    /// The field `pending_since`; nil where Asynq writes none: the task was put back, or run again from the archive.
    let pendingSince: Int64?
    /// The failure before it, in Asynq's message.
    let lastFailedAt: Int64?
    /// False: the worker ended under it.
    var hasSpan = true
    /// Redis was looked at while it was pending, and again when it ran.
    var isSeen = false

    enum Name: Hashable {
        /// `due`: when it was scheduled for.
        case stamp(Int64, due: Int64?)
        /// Its span is a child of that producer's, which ended at the time.
        case producer(UInt64, end: Int64)
        case none
    }

    /// When the span says that it was ready; nil where nothing says it.
    var saidReady: Int64? {
        switch name {
        case .stamp(let stamp, let due): max(stamp, due ?? stamp)
        case .producer(_, let end): end
        case .none: nil
        }
    }
}

/// Asynq's rules for what becomes of a task after an attempt (processor.go, rdb.go, inspector.go of 0.24 to 0.26): a failure
/// raises the retry count unless `IsFailure` says false; `SkipRetry` archives, and the Inspector runs what is archived with the
/// retry count that it has; a worker that stops puts its tasks back without anything else; an id is free again when its task is
/// done.
struct RetryRulesModel {
    static let origin: Int64 = 1_800_000_000_000_000_000
    private static let second: Int64 = 1_000_000_000
    private static let queues = 4

    private var random: SeededGenerator
    private(set) var attempts: [ModelledAttempt] = []
    private var tasks = 0
    private var producers: UInt64 = 0
    /// Fixed ids, and when each is free.
    private var fixedIDs: [String: Int64] = [:]

    init(seed: UInt64, attempts count: Int) {
        random = SeededGenerator(seed: seed)
        var clock: Int64 = 0
        while attempts.count < count {
            clock += number(in: 1...20) * 1_000_000
            addTask(at: clock)
        }
    }

    private mutating func number(in range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }
    private mutating func isOne(of count: Int64) -> Bool { number(in: 1...count) == 1 }

    /// What happens to one enqueueing, attempt by attempt.
    private struct Course {
        var queue: Int
        var id: String
        var name = ModelledAttempt.Name.none
        /// When the next attempt may begin.
        var ready: Int64 = 0
        var pendingSince: Int64?
        var retried: Int64 = 0
        var lastFailedAt: Int64?
        var attempts = 0
    }

    private mutating func addTask(at clock: Int64) {
        var course = makeCourse(at: clock)
        while attempt(&course) {}
        if course.queue == 0 { fixedIDs[course.id] = course.ready }
    }

    private mutating func makeCourse(at clock: Int64) -> Course {
        tasks += 1
        var course = Course(queue: Int(number(in: 1...3)), id: "task-\(tasks)")
        let fixed = "fixed-\(number(in: 1...300))"
        // Its last span has come when the id comes again.
        if isOne(of: 3), fixedIDs[fixed] ?? .min < clock - 12 * Self.second {
            course.queue = 0
            course.id = fixed
        }
        course.pendingSince = clock + number(in: 0...3_000_000)
        switch number(in: 1...10) {
        case 1:
            let due = clock / Self.second * Self.second + number(in: 1...60) * Self.second
            course.name = .stamp(clock, due: due)
            // The forwarder comes every five seconds.
            course.pendingSince = due + number(in: 1...5000) * 1_000_000
        case 2...3:
            producers += 1
            course.name = .producer(producers, end: clock)
        case 4: break
        default: course.name = .stamp(clock, due: nil)
        }
        course.ready = course.pendingSince ?? clock
        return course
    }

    /// Runs the task once. Returns false when it is done.
    private mutating func attempt(_ course: inout Course) -> Bool {
        let fate = course.attempts >= 8 ? 10 : number(in: 1...12)
        let isPutBack = fate == 4
        let start = course.ready + number(in: 1...4000) * 1_000_000
        let end = start + (isPutBack ? 8 * Self.second : 0) + number(in: 1...3000) * 1_000_000
        var made = ModelledAttempt(
            queue: course.queue, id: course.id, name: course.name, start: start, end: end, retryCount: course.retried,
            isError: fate <= 4, isFirst: course.attempts == 0, isPutBack: isPutBack, pendingSince: course.pendingSince,
            lastFailedAt: course.lastFailedAt)
        if isPutBack, case .stamp = course.name { made.hasSpan = isOne(of: 2) }
        made.isSeen = !made.hasSpan || isOne(of: 4)
        attempts.append(made)
        course.attempts += 1
        course.pendingSince = nil
        course.ready = end
        if fate <= 3 { course.lastFailedAt = end }
        switch fate {
        case 1, 2:
            // A failure, and one that `IsFailure` does not count.
            if fate == 1 { course.retried += 1 }
            course.ready += number(in: 10...60) * Self.second
            course.pendingSince = course.ready
        case 3:
            // SkipRetry, and run again by hand.
            course.ready += number(in: 10...3600) * Self.second
        case 4: course.ready += Self.second / 2
        default: return false
        }
        return true
    }
}
