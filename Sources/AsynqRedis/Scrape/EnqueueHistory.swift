import Model
import Redis

/// The part of a scrape that asks when cron entries last enqueued a task. An entry's own time is the last tick of cron,
/// whether enqueueing worked or not; its scheduler records each enqueueing that worked.
///
///     round trip 3   ZRANGE asynq:scheduler_history:<entry> -1 -1 WITHSCORES     score: when it was enqueued, whole seconds
///
/// Entries are not asked for again until their next tick.
struct EnqueueHistory {
    /// The number of entries that a scrape asks for; more are counted as a `limit` error.
    static let maxEntries = 5000

    typealias NewestAsk = (entry: ForeignText, newest: Ask<[ScoredMember]>)

    /// The times by the id of the entry.
    private var lastEnqueued: [ForeignText: WallTime] = [:]
    /// The entries whose times the scrape under way could not read.
    private var unread: Set<ForeignText> = []
    /// The first error of the scrape under way: a user who may not run the command may not do so for any entry.
    private(set) var error: RedisError?
    /// The first reason why a time is unknown, with its key; nil where all of them could be read.
    private(set) var problem: String?

    mutating func addNewest(of entries: [SchedulerEntrySnapshot], to pipeline: inout RedisPipeline) -> [NewestAsk] {
        (error, problem) = (nil, nil)
        let outdated = entries.filter { !isUpToDate($0) }
        unread = Set(outdated.dropFirst(Self.maxEntries).map(\.id))
        if outdated.count > Self.maxEntries {
            error = RedisError(.limit, "more than \(Self.maxEntries) cron entries")
            problem = error?.message
        }
        return outdated.prefix(Self.maxEntries).map { entry in
            (entry.id, pipeline.zrangeWithScores(AsynqKeys.schedulerHistory(ofEntry: entry.id), from: -1, to: -1))
        }
    }

    /// Returns true if the entry enqueued a task at its last tick, or since.
    private func isUpToDate(_ entry: SchedulerEntrySnapshot) -> Bool {
        guard let last = lastEnqueued[entry.id] else { return false }
        return last.wholeSeconds >= entry.previousEnqueue?.wholeSeconds ?? .min
    }

    mutating func readNewest(_ asks: [NewestAsk], _ replies: [RedisReply]) {
        for (entry, ask) in asks {
            do throws(RedisError) {
                // While the node can't be asked, its last answer holds.
                guard let newest = try replies[ask] else {
                    if lastEnqueued[entry] == nil { recordUnread(entry, "its node does not answer") }
                    continue
                }
                lastEnqueued[entry] = try newest.first.map { member throws(RedisError) in try Self.time(member) }
            } catch {
                lastEnqueued[entry] = nil
                self.error = self.error ?? error
                recordUnread(entry, error.message)
            }
        }
    }

    private mutating func recordUnread(_ entry: ForeignText, _ reason: String) {
        unread.insert(entry)
        problem = problem ?? "\(ForeignText(AsynqKeys.schedulerHistory(ofEntry: entry)).printable): \(reason)"
    }

    private static func time(_ member: ScoredMember) throws(RedisError) -> WallTime {
        guard (1..<9_000_000_000).contains(member.score) else {
            throw RedisError(.malformed, "a score of asynq:scheduler_history is not a time")
        }
        return WallTime(seconds: member.score)
    }

    /// Returns the entries with the time when they last enqueued a task, and forgets all others.
    mutating func complete(_ entries: [SchedulerEntrySnapshot]) -> [SchedulerEntrySnapshot] {
        let present = Set(entries.map(\.id))
        lastEnqueued = lastEnqueued.filter { present.contains($0.key) }
        return entries.map { entry in
            var entry = entry
            entry.lastEnqueued = lastEnqueued[entry.id]
            entry.isLastEnqueuedUnknown = unread.contains(entry.id)
            return entry
        }
    }
}
