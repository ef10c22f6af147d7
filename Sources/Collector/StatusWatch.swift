import Attention
import Logging
import Model
import Platform
import Synchronization

/// Follows what the collector sees over time: an hour of history, what needs attention, and the last known state of
/// Redis.
final class StatusWatch: Sendable {
    /// The time after which troubles are judged again without news.
    private static let judgementInterval = Duration.seconds(5)

    /// The knowledge at one moment.
    struct State: Sendable {
        fileprivate(set) var history: QueueHistory
        /// The result of the last good scrape.
        fileprivate(set) var lastKnown: RedisSnapshot?
        /// The queues at the last recording.
        fileprivate(set) var rows: [QueueReading] = []
        fileprivate(set) var troubles: [Trouble] = []
        /// False while something may be wrong that has not been seen for long enough.
        fileprivate(set) var hasLookedLongEnough = false
        /// The knowledge of Redis when the troubles were judged.
        fileprivate(set) var redis = RedisReading.unread(nil)
        /// The seconds until the spool is full, at the rate of the last half hour or of the outage of the trace backend.
        fileprivate(set) var spoolFullInSeconds: Double?
        /// The state of the trace backend, and the time since which it has been up or down.
        fileprivate(set) var backend: (isUp: Bool, since: WallTime)?
        fileprivate var attention = Attention()
        fileprivate var log: TroubleLog
        /// The number of judgements so far: what documents show of the state changes with it.
        fileprivate(set) var version: UInt64 = 0
        fileprivate var hasNews = false
        fileprivate var judgedAt: MonotonicTime?
    }

    private let state: Mutex<State>
    private let clock: Clock

    init(interval: Duration, historyBytes: Int = QueueHistory.maxBytes, clock: Clock, logger: Logger) {
        self.clock = clock
        let history = QueueHistory(interval: interval, maxBytes: historyBytes)
        state = Mutex(State(history: history, log: TroubleLog(logger)))
    }

    var current: State { state.withLock { $0 } }

    /// The bytes that the history takes.
    var historyBytes: Int { state.withLock { $0.history.bytes } }

    /// Records the present reading of each queue.
    ///
    /// - Parameter snapshot: The result of a good scrape of Redis; nil where Redis is not read at all.
    func record(_ snapshot: RedisSnapshot?, waits: [QueueName: MeasuredWaits]) {
        let rows = QueueReading.all(snapshot, waits: waits)
        let now = clock.monotonic()
        state.withLock { state in
            state.lastKnown = snapshot
            state.rows = rows
            state.history.record(rows, at: now)
            state.hasNews = true
        }
    }

    /// True if troubles have to be judged now: there is news, or the last judgement is old.
    var isJudgementDue: Bool {
        let now = clock.monotonic()
        return state.withLock { Self.isDue($0, at: now) }
    }

    private static func isDue(_ state: State, at now: MonotonicTime) -> Bool {
        state.hasNews || state.judgedAt.map { now.duration(since: $0) >= judgementInterval } ?? true
    }

    /// Returns the state, where the troubles are those of the same rows and of the same reading of Redis; nil where
    /// they have to be judged first.
    func judged(_ redis: RedisReading) -> State? {
        let now = clock.monotonic()
        return state.withLock { state in
            let isSame = redis.isRead == state.redis.isRead && redis.unreadReason == state.redis.unreadReason
            return isSame && !Self.isDue(state, at: now) ? state : nil
        }
    }

    /// Judges what needs attention, logs what has begun and ended, and returns the state.
    ///
    /// - Parameter redis: The present knowledge of Redis. What was read is taken from the last recording, so that
    ///   sentences and rows are of one moment.
    @discardableResult
    func judge(redis: RedisReading, letters: [DeadLetter], spans: SpanPath, pushes: Backend?) -> State {
        let now = (wall: clock.wall(), monotonic: clock.monotonic())
        let errors = CommonError.commonest(of: letters, at: now.wall)
        return state.withLock { state in
            state.redis = redis.isRead ? state.lastKnown.map { .read($0) } ?? .unread(nil) : redis
            var situation = Situation(now: now, redis: state.redis, rows: state.rows, spans: spans)
            situation.commonestErrors = errors
            situation.pushes = pushes
            state.troubles = state.attention.evaluate(situation, state.history)
            state.hasLookedLongEnough = state.attention.hasLookedLongEnough(at: now.monotonic)
            state.spoolFullInSeconds = spans.spool.flatMap { state.attention.secondsUntilFull($0) }
            if let isUp = spans.backend?.isUp, isUp != state.backend?.isUp { state.backend = (isUp, now.wall) }
            state.hasNews = false
            state.judgedAt = now.monotonic
            state.version += 1
            state.log.record(state.troubles, at: now.monotonic)
            return state
        }
    }
}
