import Model
import Redis

/// Counts the tasks that enter a queue's archive while this process runs, each once. (The archive is trimmed at 10,000,
/// and tasks leave it by hand.)
///
/// The archive is a sorted set of task id → archived-at, in whole seconds of the worker's clock. Each scrape reads the
/// members from `overlapSeconds` before the newest score on, and counts those that it has not counted before. The
/// overlap has two reasons: two tasks may die in the same second, one on each side of a scrape, and workers' clocks
/// differ. An arrival is missed only if its stamp is more than `overlapSeconds` behind the newest one. A member is a
/// task's id, its score the time when it was archived, in Unix seconds. A task that is run again and dies again has a
/// new score and counts again.
struct ArchiveArrivals {
    static let overlapSeconds: Int64 = 10
    /// The number of members that are read at first: as a rule these are all.
    static let chunk = 1000
    /// The number of members that are read in one scrape. Asynq keeps at most 10,000; its own hand-made archiving may
    /// keep more.
    static let maxMembers = 20_000

    /// The number of arrivals since the start.
    private(set) var total: UInt64 = 0
    /// The newest score so far, but never later than the scrape that saw it. A stamp from the future (a wrong clock)
    /// must not hide what follows it. It is nil before a member has been seen.
    private var newest: Int64?
    /// The members that the last scrape saw, from `knownFrom` on.
    private var known: Set<ScoredMember> = []
    private var knownFrom: Int64 = .min

    /// Returns the score from which on the next scrape has to read; nil to read all: the archive has been empty so far.
    func readFrom(at now: Int64) -> Int64? { newest.map { min($0, now) - Self.overlapSeconds } }

    func addNewest(of queue: QueueName, at now: Int64 = .max, to pipeline: inout RedisPipeline) -> Ask<[ScoredMember]> {
        pipeline.zrangeByScoreWithScores(
            AsynqKeys.queue(queue, "archived"), from: readFrom(at: now), to: nil, limit: Self.chunk)
    }

    /// Returns true if there are arrivals among the newest members, or there may be some behind them.
    func mayHaveArrivals(in newest: [ScoredMember]) -> Bool {
        newest.count >= Self.chunk || newest.contains { isArrival($0) }
    }

    private func isArrival(_ member: ScoredMember) -> Bool { member.score >= knownFrom && !known.contains(member) }

    /// Sets the baseline at the first scrape of a queue that was there before the collector: its archive died before.
    /// `members` are those from the newest score minus the overlap on.
    mutating func begin(_ members: [ScoredMember], at now: Int64) {
        remember(Set(members), at: now)
    }

    /// Counts the arrivals among the members that a scrape has read, and returns them. `isComplete` says that nothing
    /// was left unread.
    mutating func countArrivals(
        in members: [ScoredMember], at now: Int64, isComplete: Bool = true
    ) -> [ScoredMember] {
        var seen: Set<ScoredMember> = []
        // Below `knownFrom` it is unknown what was counted: the collector's clock was turned back, and more is read than
        // before.
        let arrivals = members.filter { seen.insert($0).inserted && isArrival($0) }
        total += UInt64(arrivals.count)
        // Members that have left are forgotten: they may come back under the stamp that they had.
        remember(isComplete ? seen : known.union(seen), at: now)
        return arrivals
    }

    /// Keeps the members within the overlap, so that the memory is that of some seconds of deaths.
    private mutating func remember(_ members: Set<ScoredMember>, at now: Int64) {
        known = members
        if let latest = members.lazy.map(\.score).max() { newest = max(newest ?? latest, latest) }
        guard let upToNow = newest.map({ min($0, now) }) else { return }
        newest = upToNow
        knownFrom = upToNow - Self.overlapSeconds
        known = known.filter { $0.score >= knownFrom }
    }
}
