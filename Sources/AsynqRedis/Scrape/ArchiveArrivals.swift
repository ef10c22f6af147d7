import Model
import Redis

/// Counts the tasks that enter a queue's archive while this process looks, each once, although the archive is trimmed
/// at 10,000 and tasks leave it by hand.
///
/// The archive is a sorted set of task id → archived-at, in whole seconds of the worker's clock. Each scrape reads the
/// members from `overlapSeconds` before the newest score on, and counts those that it has not counted before. The
/// overlap is there because two tasks may die in the same second, one on each side of a scrape, and because workers'
/// clocks differ: an arrival is missed only if its stamp is more than `overlapSeconds` behind the newest one. A member is a
/// task's id, its score the time when it was archived, in Unix seconds.
/// A task that is run again and dies again has a new score and counts again.
struct ArchiveArrivals {
    static let overlapSeconds: Int64 = 10
    /// Members read at first: as a rule these are all.
    static let chunk = 1000
    /// Members read in one scrape; Asynq keeps at most 10,000 (Asynq's own hand-made archiving may keep more).
    static let maxMembers = 20_000

    /// Counted since the start.
    private(set) var total: UInt64 = 0
    /// The newest score so far, or where that lay in the future of the scrape that saw it, the time of the scrape: a stamp
    /// from the future (a clock gone wrong) must not hide what follows it. nil while no member has been seen.
    private var newest: Int64?
    /// What the last scrape saw, from `knownFrom` on.
    private var known: Set<ScoredMember> = []
    private var knownFrom: Int64 = .min

    /// The score from which on the next scrape has to read; nil = all: the archive has been empty so far.
    func readFrom(at now: Int64) -> Int64? { newest.map { min($0, now) - Self.overlapSeconds } }

    func addNewest(of queue: QueueName, at now: Int64 = .max, to pipeline: inout RedisPipeline) -> Ask<[ScoredMember]> {
        pipeline.zrangeByScoreWithScores(
            AsynqKeys.queue(queue, "archived"), from: readFrom(at: now), to: nil, limit: Self.chunk)
    }

    /// Whether there are arrivals among the newest members, or there may be behind them.
    func mayHaveArrivals(in newest: [ScoredMember]) -> Bool {
        newest.count >= Self.chunk || newest.contains { isArrival($0) }
    }

    private func isArrival(_ member: ScoredMember) -> Bool { member.score >= knownFrom && !known.contains(member) }

    /// The first scrape of a queue that was there when we started sets the baseline: what is in the archive died before.
    /// `members` are those from the newest score minus the overlap on.
    mutating func begin(_ members: [ScoredMember], at now: Int64) {
        remember(Set(members), at: now)
    }

    /// Counts the arrivals among the members that a scrape has read, and returns them. `isComplete`: nothing was left
    /// unread.
    mutating func countArrivals(
        in members: [ScoredMember], at now: Int64, isComplete: Bool = true
    ) -> [ScoredMember] {
        var seen: Set<ScoredMember> = []
        // Below `knownFrom` it is unknown what was counted: our own clock was turned back, and we read more than before.
        let arrivals = members.filter { seen.insert($0).inserted && isArrival($0) }
        total += UInt64(arrivals.count)
        // What has left is forgotten: it may come back under the stamp that it had.
        remember(isComplete ? seen : known.union(seen), at: now)
        return arrivals
    }

    /// Keeps what lies within the overlap, so that the memory is that of some seconds of deaths.
    private mutating func remember(_ members: Set<ScoredMember>, at now: Int64) {
        known = members
        if let latest = members.lazy.map(\.score).max() { newest = max(newest ?? latest, latest) }
        guard let upToNow = newest.map({ min($0, now) }) else { return }
        newest = upToNow
        knownFrom = upToNow - Self.overlapSeconds
        known = known.filter { $0.score >= knownFrom }
    }
}
