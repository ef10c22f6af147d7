import Model
import Testing

@testable import Attention

/// A collector that scrapes one Redis every few seconds: each call is a scrape.
struct Scene {
    static let start: UInt64 = 1_000_000
    static let wallStart: Int64 = 1_790_000_000

    private(set) var history: QueueHistory
    private(set) var attention = Attention()
    private(set) var now: UInt64 = start
    /// Seconds between two scrapes.
    private let interval: UInt64
    private var rows: [QueueReading] = []
    var spans = SpanPath()
    var pushes: Backend?
    var letters: [QueueName: CommonError] = [:]

    init(interval: UInt64 = 5) {
        self.interval = interval
        history = QueueHistory(interval: .seconds(Int64(interval)))
    }

    var hasLookedLongEnough: Bool { attention.hasLookedLongEnough(at: moment.monotonic) }

    var moment: (wall: WallTime, monotonic: MonotonicTime) {
        (
            WallTime(seconds: Self.wallStart + Int64(now - Self.start)),
            MonotonicTime(nanoseconds: now * 1_000_000_000)
        )
    }

    /// Scrapes for a while, and returns the troubles of the last scrape. `change` makes the snapshot of each scrape, given the
    /// seconds since the scene began.
    @discardableResult
    mutating func run(
        seconds: UInt64, waits: [QueueName: MeasuredWaits] = [:], _ change: (inout RedisSnapshot, UInt64) -> Void
    ) -> [Trouble] {
        var troubles: [Trouble] = []
        for _ in 0..<max(1, seconds / interval) {
            now += interval
            var snapshot = RedisSnapshot(queues: [], takenAt: moment.wall, partialErrors: [])
            change(&snapshot, now - Self.start)
            rows = QueueReading.all(snapshot, waits: waits)
            history.record(rows, at: moment.monotonic)
            troubles = judge(.read(snapshot))
        }
        return troubles
    }

    /// Lets time pass without a scrape.
    @discardableResult
    mutating func run(seconds: UInt64, _ redis: RedisReading) -> [Trouble] {
        var troubles: [Trouble] = []
        for _ in 0..<max(1, seconds / interval) {
            now += interval
            troubles = judge(redis)
        }
        return troubles
    }

    private mutating func judge(_ redis: RedisReading) -> [Trouble] {
        var situation = Situation(now: moment, redis: redis, rows: rows, spans: spans)
        situation.commonestErrors = letters
        situation.pushes = pushes
        return attention.evaluate(situation, history)
    }
}

extension RedisSnapshot {
    /// Adds a queue that is well: nothing waits, and it is served.
    mutating func add(_ name: String, _ change: (inout QueueSnapshot) -> Void = { _ in }) {
        var queue = QueueSnapshot(name: QueueName(name))
        for state in TaskState.allCases { queue.size[state] = 0 }
        queue.isPaused = false
        queue.latencyNanoseconds = 0
        queue.orphaned = 0
        queue.overdue = [.scheduled: 0, .retry: 0]
        queue.processed = 0
        queue.completed = 0
        queue.failed = 0
        queue.deadLettered = 0
        queue.isRegistered = true
        change(&queue)
        queues.append(queue)
    }

    /// Adds a server that consumes all queues.
    mutating func serve(busy: Int64 = 0, concurrency: Int64 = 10) {
        servers = [
            ServerSnapshot(
                host: ForeignText("h"), pid: 1, id: ForeignText("s"), concurrency: concurrency,
                queues: queues.map(\.name), status: ForeignText("active"), busyWorkers: busy)
        ]
    }
}

extension [Trouble] {
    func only(_ condition: Condition) -> Trouble? { first { $0.condition == condition } }
    var sentences: [String] { map(\.sentence) }
}
