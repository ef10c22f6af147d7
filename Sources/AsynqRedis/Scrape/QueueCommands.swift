import Model
import Redis

/// One queue's part in a scrape: the commands to send, and the meaning of their replies. docs/REDIS.md lists all
/// commands of a scrape, and a test compares.
///
/// The numbers are those that Asynq's `Inspector.GetQueueInfo` computes in Lua. Here they need no Lua, and three round
/// trips whatever the number of queues is.
struct QueueCommands {
    /// The number of groups that are summed up. With more, `aggregating` is left out and counted as a `limit` error.
    static let maxGroups: Int64 = 10_000

    /// The number of expired leases, and of active tasks, that are read.
    static let maxActive = 10_000
    private static let nextCount = 4
    typealias DueKey = (state: TaskState, suffix: StaticString)

    /// The keys of the tasks that wait for their time; the score is the second at which they are due.
    private static let due: [DueKey] = [(.scheduled, "scheduled"), (.retry, "retry")]
    /// The keys without which workers can't take, renew, retry or archive a task.
    private static let keysOfWorkers: Set = ["pending", "active", "lease", "scheduled", "retry", "archived"]
    /// The places from the end of the list that are read: workers may take hundreds of tasks between two round trips.
    private static let deepPositions = [32, 256]

    private(set) var snapshot: QueueSnapshot
    private(set) var arrivals: ArchiveArrivals
    private(set) var errors: [RedisError] = []
    private let asksForGroups: Bool
    private let isBaseline: Bool
    /// The time by Redis' clock.
    private let now: WallTime
    /// True if a node of a Cluster could not be asked: what it holds is unknown, which the client has reported.
    private(set) var isUnanswered = false
    private let isListLong: Bool
    private let lastProcessed: Int64?
    /// True if no worker takes tasks.
    private var isIdle = false
    /// The next task, and those behind it in case that workers take it in the meantime.
    private var nextTasks: [[UInt8]] = []
    private var groupNames: [[UInt8]] = []
    /// The expiry of each expired lease by its task.
    private var expiredLeases: [[UInt8]: Int64] = [:]
    /// The keys that can't be read, each once: those that workers need, and the others.
    private var unreadable: (ofWorkers: Set<[UInt8]>, others: Set<[UInt8]>) = ([], [])
    /// The score from which on the archive is still to be read.
    private var archiveRestFrom: Int64?
    private var archived: [ScoredMember] = []
    /// The dead letters whose messages are to be read.
    private(set) var unreadLetters: UnreadDeadLetters

    /// Begins with a queue. `arrivals` has the known part of the queue's archive; nil for a queue that is new.
    /// `isBaseline` says that what is in the archive then died before the start.
    init(
        _ name: QueueName, lastGroupCount: Int64 = 0, lastPending: Int64 = 0, lastProcessed: Int64? = nil,
        arrivals: ArchiveArrivals? = nil, unreadLetters: UnreadDeadLetters = UnreadDeadLetters(),
        isBaseline: Bool = false,
        at now: WallTime
    ) {
        snapshot = QueueSnapshot(name: name)
        self.isBaseline = isBaseline && arrivals == nil
        self.arrivals = arrivals ?? ArchiveArrivals()
        self.unreadLetters = unreadLetters
        self.now = now
        asksForGroups = lastGroupCount <= Self.maxGroups
        isListLong = lastPending >= Self.deepPositions[0]
        self.lastProcessed = lastProcessed
    }

    private func key(_ suffix: StaticString) -> [UInt8] { AsynqKeys.queue(snapshot.name, suffix) }

    // MARK: Round trip 2

    /// The questions of round trip 2.
    struct Counts {
        let sizes: [(state: TaskState, count: Ask<Int64>)]
        let processed: Ask<Int64>
        let failed: Ask<Int64>
        let paused: Ask<[UInt8]?>
        let next: Ask<[[UInt8]]>
        let deeper: [Ask<[UInt8]?>]
        let overdue: [(due: DueKey, count: Ask<Int64>)]
        let expiredLeases: Ask<[ScoredMember]>
        let archive: Ask<[ScoredMember]>
        let groups: Ask<Int64>
        let groupNames: Ask<[[UInt8]]>?
        /// The range of all of them in the pipeline.
        let places: Range<Int>
    }

    func addCounts(to pipeline: inout RedisPipeline) -> Counts {
        let start = pipeline.count
        return Counts(
            sizes: StateKey.all.map { ($0.state, $0.addCount(snapshot.name, to: &pipeline)) },
            processed: counter("processed", in: &pipeline),
            failed: counter("failed", in: &pipeline),
            paused: pipeline.get(key("paused")),
            next: pipeline.lrange(key("pending"), from: -Self.nextCount, to: -1),
            deeper: (isListLong ? Self.deepPositions : []).map { pipeline.lindex(key("pending"), -$0) },
            overdue: Self.due.map { ($0, pipeline.zcount(key($0.suffix), upTo: now.wholeSeconds)) },
            expiredLeases: pipeline.zrangeByScoreWithScores(
                key("lease"), from: nil, to: now.wholeSeconds, limit: Self.maxActive),
            archive: isBaseline
                ? pipeline.zrangeWithScores(key("archived"), from: -UnreadDeadLetters.maxPerQueue, to: -1)
                : arrivals.addNewest(of: snapshot.name, at: now.wholeSeconds, to: &pipeline),
            groups: pipeline.scard(key("groups")),
            groupNames: asksForGroups ? pipeline.smembers(key("groups")) : nil,
            places: start..<pipeline.count)
    }

    /// Asks for a counter. One that does not exist yet is 0.
    private func counter(_ suffix: StaticString, in pipeline: inout RedisPipeline) -> Ask<Int64> {
        pipeline.get(key(suffix)).map { text throws(RedisError) in
            guard let text else { return 0 }
            guard let value = Int64(String(decoding: text, as: UTF8.self)), value >= 0 else {
                throw RedisError(.malformed, "the counter \(suffix) is not a number")
            }
            return value
        }
    }

    mutating func readCounts(_ counts: Counts, _ replies: [RedisReply]) {
        isUnanswered = replies[counts.places].contains(.unanswered)
        if isUnanswered { return }
        for (key, count) in zip(StateKey.all, counts.sizes) {
            snapshot.size[count.state] = read(count.count, of: key.suffix, replies)
        }
        snapshot.processed = read(counts.processed, of: "processed", replies)
        snapshot.failed = read(counts.failed, of: "failed", replies)
        readPause(counts.paused, replies)
        readNextTasks(counts, replies)
        for (due, count) in counts.overdue {
            snapshot.overdue[due.state] = read(
                count, of: due.suffix, replies, isReported: snapshot.size[due.state] == nil)
        }
        if let leases = read(counts.expiredLeases, of: "lease", replies) { setExpiredLeases(leases) }
        if let members = read(counts.archive, of: "archived", replies, isReported: snapshot.size[.archived] == nil) {
            readArchive(members)
        }
        readGroups(counts, replies)
    }

    /// Reads the key of a paused queue, which holds the second of the pause. Asynq asks only whether it exists, so any
    /// other value pauses the queue as well, one of another type included.
    private mutating func readPause(_ paused: Ask<[UInt8]?>, _ replies: [RedisReply]) {
        do throws(RedisError) {
            guard let value = try replies[paused] else { return }
            snapshot.isPaused = value != nil
            snapshot.pausedAt = value.flatMap { WallTime(secondOfPause: $0, at: now) }
        } catch {
            if error.reason == .wrongType {
                snapshot.isPaused = true
            } else {
                record(error, of: "paused")
            }
        }
    }

    private mutating func readNextTasks(_ counts: Counts, _ replies: [RedisReply]) {
        // A list of the wrong type was reported by LLEN already.
        let isReported = snapshot.size[.pending] == nil
        if let next = read(counts.next, of: "pending", replies, isReported: isReported) {
            nextTasks = next.reversed()
            if next.isEmpty { snapshot.latencyNanoseconds = 0 }
        }
        for task in counts.deeper {
            if let id = read(task, of: "pending", replies, isReported: true) ?? nil { nextTasks.append(id) }
        }
        // If no worker takes tasks, the first one is enough.
        isIdle = snapshot.size[.active] == 0 && snapshot.processed == lastProcessed
        if isIdle { nextTasks = Array(nextTasks.prefix(1)) }
    }

    private mutating func readGroups(_ counts: Counts, _ replies: [RedisReply]) {
        snapshot.groups = read(counts.groups, of: "groups", replies)
        if let ask = counts.groupNames, let names = read(ask, of: "groups", replies, isReported: snapshot.groups == nil)
        {
            groupNames = names
            // The last one may leave between the two commands.
            if names.isEmpty { snapshot.size[.aggregating] = 0 }
        }
        if snapshot.groups == 0 { snapshot.size[.aggregating] = 0 }
        if let groups = snapshot.groups, groups > Self.maxGroups || (!asksForGroups && groups > 0) {
            groupNames = []
            limit("more than \(Self.maxGroups) groups; they are not summed up")
        }
    }

    private mutating func setExpiredLeases(_ leases: [ScoredMember]) {
        expiredLeases = Dictionary(leases.map { ($0.member, $0.score) }) { first, _ in first }
        if expiredLeases.isEmpty { snapshot.orphaned = 0 }
        if expiredLeases.count >= Self.maxActive {
            limit("\(Self.maxActive) or more expired leases; orphans are not counted")
            expiredLeases = [:]
        }
    }

    private mutating func readArchive(_ members: [ScoredMember]) {
        archived = members
        if isBaseline {
            unreadLetters.add(archived, areArrivals: false)
            if let newest = archived.last {
                archiveRestFrom = min(newest.score, now.wholeSeconds) - ArchiveArrivals.overlapSeconds
            }
        } else if archived.count >= ArchiveArrivals.chunk {
            // Scores and not ranks continue it: a member that leaves between the two readings would shift the ranks of
            // those after it.
            archiveRestFrom = archived.last?.score
        }
        if archiveRestFrom == nil { countArrivals(isComplete: true) }
    }

    private mutating func countArrivals(isComplete: Bool) {
        if isBaseline {
            arrivals.begin(archived, at: now.wholeSeconds)
        } else {
            let new = arrivals.countArrivals(in: archived, at: now.wholeSeconds, isComplete: isComplete)
            unreadLetters.add(new, areArrivals: true)
        }
        snapshot.deadLettered = arrivals.total
    }

    // MARK: Round trip 3

    /// The questions of round trip 3.
    struct Details {
        let nextTasks: [Ask<TaskPlace>]
        /// Asks behind them which one is the next still; nil where no worker takes tasks.
        let nextAfter: Ask<[UInt8]?>?
        let active: Ask<[[UInt8]]>?
        /// Asks for the overdue task that was due first, of the states that have some.
        let firstDue: [(due: DueKey, first: Ask<[ScoredMember]>)]
        let archiveRest: Ask<[ScoredMember]>?
        let groups: [Ask<Int64>]
        /// The range of all of them in the pipeline.
        let places: Range<Int>
    }

    func addDetails(to pipeline: inout RedisPipeline) -> Details {
        let start = pipeline.count
        return Details(
            nextTasks: nextTasks.map { pipeline.taskPlace(snapshot.name, id: $0) },
            nextAfter: isIdle || nextTasks.isEmpty ? nil : pipeline.lindex(key("pending"), -1),
            active: expiredLeases.isEmpty ? nil : pipeline.lrange(key("active"), from: 0, to: Self.maxActive - 1),
            firstDue: Self.due.filter { (snapshot.overdue[$0.state] ?? 0) > 0 }.map {
                ($0, pipeline.zrangeWithScores(key($0.suffix), from: 0, to: 0))
            },
            archiveRest: archiveRestFrom.map {
                pipeline.zrangeByScoreWithScores(
                    key("archived"), from: $0, to: nil, limit: ArchiveArrivals.maxMembers)
            },
            groups: groupNames.map { pipeline.zcard(AsynqKeys.group(snapshot.name, $0)) },
            places: start..<pipeline.count)
    }

    mutating func readDetails(_ details: Details, _ replies: [RedisReply]) {
        if replies[details.places].contains(.unanswered) {
            isUnanswered = true
            return
        }
        readLatency(details, replies)
        if let active = details.active { readActive(active, replies) }
        for (due, ask) in details.firstDue {
            let first = read(ask, of: due.suffix, replies, isReported: true)?.first
            snapshot.overdueSince[due.state] = first.flatMap { past($0.score) }
        }
        if let rest = details.archiveRest, let members = read(rest, of: "archived", replies) {
            readArchiveRest(members)
        }
        sumGroups(details.groups, replies)
    }

    /// Returns the time of a score in Unix seconds; nil for anything but a moment of the last years.
    private func past(_ score: Int64) -> WallTime? {
        let age = Double(now.wholeSeconds) - Double(score)
        return age >= 0 && age <= PlausibleSeconds.longest ? WallTime(seconds: score) : nil
    }

    private mutating func sumGroups(_ groups: [Ask<Int64>], _ replies: [RedisReply]) {
        if groups.isEmpty { return }
        var aggregating: Int64 = 0
        for (name, group) in zip(groupNames, groups) {
            guard let count = read(group, ofKey: AsynqKeys.group(snapshot.name, name), replies) else { return }
            let (sum, overflow) = aggregating.addingReportingOverflow(count)
            aggregating = overflow ? .max : sum
        }
        snapshot.size[.aggregating] = aggregating
    }

    /// Reads the active tasks. An orphan is active and its lease has expired; a lease alone may have outlived its task.
    private mutating func readActive(_ ask: Ask<[[UInt8]]>, _ replies: [RedisReply]) {
        guard let active = read(ask, of: "active", replies, isReported: snapshot.size[.active] == nil) else { return }
        let expiries = active.compactMap { expiredLeases[$0] }
        snapshot.orphaned = Int64(expiries.count)
        snapshot.orphanedSince = expiries.min().flatMap { past($0) }
        if active.count >= Self.maxActive { limit("\(Self.maxActive) or more active tasks; the first are looked at") }
    }

    private mutating func readArchiveRest(_ members: [ScoredMember]) {
        // They ascend, so what does not fit is read by the next scrape.
        let isComplete = members.count < ArchiveArrivals.maxMembers
        if !isComplete { limit("\(ArchiveArrivals.maxMembers) or more new dead letters at once") }
        archived = isBaseline ? members : archived + members
        countArrivals(isComplete: isComplete)
    }

    /// Reads the latency as Asynq computes it: now − `pending_since` of the next task. It is 0 for a task without one,
    /// and for a time ahead of Redis' clock. Tasks that workers have taken since the round trip before are passed over.
    /// If those are the whole list that was read, and not the whole queue, the age is unknown.
    private mutating func readLatency(_ details: Details, _ replies: [RedisReply]) {
        if details.nextTasks.isEmpty { return }
        let nextAfter = details.nextAfter.flatMap { read($0, of: "pending", replies, isReported: true) ?? nil }
        for (id, ask) in zip(nextTasks, details.nextTasks) {
            let taskKey = AsynqKeys.task(snapshot.name, id: id)
            guard let place = read(ask, ofKey: taskKey, replies) else { return }
            // Dequeueing sets the state and removes pending_since; a task that is done has neither. A task whose hash
            // was evicted or deleted by hand has neither as well, and stays the next one.
            let isWaiting = place.isPending || (place.state == nil && (place.pendingSince != nil || isIdle))
            guard isWaiting || id == nextAfter else { continue }
            guard let text = place.pendingSince else {
                snapshot.latencyNanoseconds = 0
                return
            }
            if let since = Int64(String(decoding: text, as: UTF8.self)) {
                snapshot.latencyNanoseconds = max(0, now.nanoseconds(since: WallTime(nanoseconds: since)))
            } else {
                record(RedisError(.malformed, "pending_since of the next task is not a number"), ofKey: taskKey)
            }
            return
        }
        if Int64(details.nextTasks.count) == snapshot.size[.pending] { snapshot.latencyNanoseconds = 0 }
    }

    // MARK: Replies

    /// Returns the reply; nil where the command failed, which is an error unless another command of the queue has
    /// reported it.
    private mutating func read<Value>(
        _ ask: Ask<Value>, of suffix: StaticString, _ replies: [RedisReply], isReported: Bool = false
    ) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            if !isReported { record(error, of: suffix) }
            return nil
        }
    }

    private mutating func read<Value>(_ ask: Ask<Value>, ofKey key: [UInt8], _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            record(error, ofKey: key)
            return nil
        }
    }

    private mutating func record(_ error: RedisError, of suffix: StaticString) {
        record(error, ofKey: key(suffix), isOfWorkers: Self.keysOfWorkers.contains("\(suffix)"))
    }

    /// Records an error. It is the queue's own problem where it is about one of its keys.
    private mutating func record(_ error: RedisError, ofKey key: [UInt8], isOfWorkers: Bool = false) {
        errors.append(error.about(snapshot.name))
        switch error.reason {
        case .wrongType, .malformed, .server, .permission: break
        default: return
        }
        if isOfWorkers {
            unreadable.ofWorkers.insert(key)
            Self.add(key, error, to: &snapshot.workProblem, others: unreadable.ofWorkers.count - 1)
        } else {
            unreadable.others.insert(key)
            Self.add(key, error, to: &snapshot.problem, others: unreadable.others.count - 1)
        }
    }

    private static func add(_ key: [UInt8], _ error: RedisError, to problem: inout ReadProblem?, others: Int) {
        problem = problem ?? ReadProblem(key: ForeignText(key), cause: error.message)
        problem?.otherKeys = others
    }

    private mutating func limit(_ what: String) {
        errors.append(RedisError(.limit, "queue \(snapshot.name.text) has \(what)"))
    }
}

extension WallTime {
    /// Reads Unix seconds in decimal digits; returns nil for anything but a moment of the last years before `now`.
    fileprivate init?(secondOfPause text: [UInt8], at now: WallTime) {
        guard let seconds = Int64(String(decoding: text, as: UTF8.self)), seconds <= now.wholeSeconds,
            Double(now.wholeSeconds) - Double(seconds) <= PlausibleSeconds.longest
        else { return nil }
        self.init(seconds: seconds)
    }
}
