import Model
import Redis

/// Counts the tasks that enter a queue's archive while this process looks, each once, although the archive is trimmed
/// at 10,000 and tasks leave it by hand.
///
/// The archive is a sorted set of task id → archived-at, in whole seconds of the worker's clock. Each look reads the
/// members from `overlapSeconds` before the newest score on, and counts those that it has not counted before. The
/// overlap is there because two tasks may die in the same second, one on each side of a look, and because workers'
/// clocks differ: an arrival is missed only if its stamp is more than `overlapSeconds` behind the newest one.
/// A task that is run again and dies again has a new score and counts again.
struct ArchiveArrivals {
    static let overlapSeconds: Int64 = 10
    /// Members read in one look; Asynq keeps at most 10,000 (Asynq's own hand-made archiving may keep more).
    static let maxMembers = 20_000

    /// A task in the archive.
    struct Member: Hashable {
        let id: [UInt8]
        /// Archived at, Unix seconds.
        let score: Int64

        /// The reply to a command WITHSCORES: id, score, id, score, …
        static func list(_ reply: RedisReply) -> [Member] {
            let flat = reply.elements ?? []
            return stride(from: 0, to: flat.count - 1, by: 2).compactMap { index in
                guard let id = flat[index].bytes, let score = flat[index + 1].score else { return nil }
                return Member(id: id, score: score)
            }
        }
    }

    /// Counted since the start.
    private(set) var total: UInt64 = 0
    /// The newest score so far, or where that lay in the future of the look that saw it, the time of the look: a stamp
    /// from the future (a clock gone wrong) must not hide what follows it. nil while no member has been seen.
    private var newest: Int64?
    /// What the last look saw, from `knownFrom` on.
    private var known: Set<Member> = []
    private var knownFrom: Int64 = .min

    /// The score from which on the next look has to read; nil = all: the archive has been empty so far.
    func readFrom(at now: Int64) -> Int64? { newest.map { min($0, now) - Self.overlapSeconds } }

    /// The first look at a queue that was there when we started sets the baseline: what is in the archive died before.
    /// `members` are those from the newest score minus the overlap on.
    mutating func begin(_ members: [Member], at now: Int64) {
        remember(Set(members), at: now)
    }

    /// What a look found; returns the arrivals. `isComplete`: nothing was left unread.
    mutating func look(_ members: [Member], at now: Int64, isComplete: Bool = true) -> [Member] {
        var seen: Set<Member> = []
        // Below `knownFrom` nobody knows what was counted: our own clock was turned back, and we read more than before.
        let arrivals = members.filter { seen.insert($0).inserted && $0.score >= knownFrom && !known.contains($0) }
        total += UInt64(arrivals.count)
        // What has left is forgotten: it may come back under the stamp that it had.
        remember(isComplete ? seen : known.union(seen), at: now)
        return arrivals
    }

    /// Keeps what lies within the overlap, so that the memory is that of some seconds of deaths.
    private mutating func remember(_ members: Set<Member>, at now: Int64) {
        known = members
        if let latest = members.lazy.map(\.score).max() { newest = max(newest ?? latest, latest) }
        guard let upToNow = newest.map({ min($0, now) }) else { return }
        newest = upToNow
        knownFrom = upToNow - Self.overlapSeconds
        known = known.filter { $0.score >= knownFrom }
    }
}
