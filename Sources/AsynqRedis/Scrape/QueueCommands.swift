import Model
import Redis

// The pure half of a scrape: which commands to send, and what their replies mean.
//
//   round trip 1   SMEMBERS asynq:queues (and the servers', see ServerCommands.swift)
//   round trip 2   per queue: LLEN pending, LLEN active, ZCARD scheduled, retry, archived, completed, GET processed,
//                  GET failed, EXISTS paused, LRANGE pending -4 -1 (and LINDEX -32 and -256 where the last scrape saw a
//                  long list), ZCOUNT scheduled and retry up to now, the expired leases, the newest of the archive,
//                  SCARD groups, and SMEMBERS groups unless the last scrape saw more than `maxGroups`
//   round trip 3   HMGET t:<id> state pending_since of those tasks; ZCARD g:<group> for each group; where leases
//                  have expired, the active tasks; where the archive's newest were only looked for, or did not fit, the
//                  rest of them
//
// The same numbers as Asynq's Inspector.GetQueueInfo computes in Lua, without Lua, and whatever the number of queues in
// three round trips.

/// One queue's part in a scrape.
struct QueueScrape {
    /// More groups than this are not summed up: `aggregating` is left out then, and counted as a `limit` error.
    static let maxGroups: Int64 = 10_000

    struct CountedState {
        let state: TaskState
        let key: StaticString
        var isList = false
        var command: StaticString { isList ? "LLEN" : "ZCARD" }
    }

    static let countedStates: [CountedState] = [
        .init(state: .pending, key: "pending", isList: true), .init(state: .active, key: "active", isList: true),
        .init(state: .scheduled, key: "scheduled"), .init(state: .retry, key: "retry"),
        .init(state: .archived, key: "archived"), .init(state: .completed, key: "completed"),
    ]

    /// Expired leases, and active tasks, that are looked at.
    static let maxActive = 10_000
    private static let archiveChunk = 1000
    private static let nextCount = 4
    /// From the end of the list: workers may take hundreds of tasks between two round trips.
    private static let deepPositions = [32, 256]

    private(set) var snapshot: QueueSnapshot
    private(set) var arrivals: ArchiveArrivals
    private(set) var errors: [RedisError] = []
    private let asksForGroups: Bool
    private let isBaseline: Bool
    private let now: WallTime
    private var nowText: [UInt8] { Array(String(now.wholeSeconds).utf8) }
    private var first = 0
    private var firstEnd = 0
    private var second = 0
    private var secondEnd = 0
    /// A node of a Cluster could not be asked: what it holds is unknown, which the client has reported.
    private(set) var isUnanswered = false
    private let isListLong: Bool
    private let lastProcessed: Int64?
    /// The next task, and those behind it in case that workers take it in the meantime.
    private var nextTasks: [[UInt8]] = []
    private var groupNames: [[UInt8]] = []
    private var expiredLeases: Set<[UInt8]> = []
    /// The score from which on the archive is still to be read.
    private var archiveRestFrom: Int64?
    private var archived: [ArchiveArrivals.Member] = []
    /// Dead letters whose messages are to be read.
    private(set) var unreadLetters: UnreadDeadLetters

    /// `arrivals` is what is known of the queue's archive; nil for a queue that has not been seen before. `isBaseline`:
    /// then what is in the archive died before the start.
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

    // MARK: Round trip 2

    mutating func addCounts(to pipeline: inout RedisPipeline) {
        first = pipeline.count
        let name = snapshot.name
        for counted in Self.countedStates { pipeline.add(counted.command, AsynqKeys.queue(name, counted.key)) }
        pipeline.add("GET", AsynqKeys.queue(name, "processed"))
        pipeline.add("GET", AsynqKeys.queue(name, "failed"))
        pipeline.add("EXISTS", AsynqKeys.queue(name, "paused"))
        let pending = AsynqKeys.queue(name, "pending")
        pipeline.add("LRANGE", pending, Array(String(-Self.nextCount).utf8), Array("-1".utf8))
        for position in isListLong ? Self.deepPositions : [] {
            pipeline.add("LINDEX", pending, Array(String(-position).utf8))
        }
        pipeline.add("ZCOUNT", AsynqKeys.queue(name, "scheduled"), Array("-inf".utf8), nowText)
        pipeline.add("ZCOUNT", AsynqKeys.queue(name, "retry"), Array("-inf".utf8), nowText)
        pipeline.add(
            "ZRANGEBYSCORE", AsynqKeys.queue(name, "lease"), Array("-inf".utf8), nowText, Array("LIMIT".utf8),
            Array("0".utf8), Array(String(Self.maxActive).utf8))
        if isBaseline {
            let newest = Array(String(-UnreadDeadLetters.maxPerQueue).utf8)
            pipeline.add(
                "ZRANGE", AsynqKeys.queue(name, "archived"), newest, Array("-1".utf8), Array("WITHSCORES".utf8))
        } else {
            addArchive(from: arrivals.readFrom(at: now.wholeSeconds), count: Self.archiveChunk, to: &pipeline)
        }
        pipeline.add("SCARD", AsynqKeys.queue(name, "groups"))
        if asksForGroups { pipeline.add("SMEMBERS", AsynqKeys.queue(name, "groups")) }
        firstEnd = pipeline.count
    }

    private func addArchive(from: Int64?, count: Int, to pipeline: inout RedisPipeline) {
        let start = from.map { String($0) } ?? "-inf"
        let words = [start, "+inf", "WITHSCORES", "LIMIT", "0", String(count)]
        pipeline.add("ZRANGEBYSCORE", list: [AsynqKeys.queue(snapshot.name, "archived")] + words.map { Array($0.utf8) })
    }

    mutating func readCounts(_ replies: [RedisReply]) {
        isUnanswered = replies[first..<firstEnd].contains(.unanswered)
        if isUnanswered { return }
        var index = first
        func next() -> RedisReply {
            defer { index += 1 }
            return replies[index]
        }
        for counted in Self.countedStates { snapshot.size[counted.state] = number(next()) }
        snapshot.processed = counter(next())
        snapshot.failed = counter(next())
        snapshot.isPaused = number(next()).map { $0 > 0 }
        let nextReply = next()
        // A list of the wrong type was reported by LLEN already.
        note(nextReply, unless: snapshot.size[.pending] == nil)
        nextTasks = (nextReply.elements ?? []).compactMap(\.bytes).reversed()
        if nextReply.errorText == nil && nextTasks.isEmpty { snapshot.latencyNanoseconds = 0 }
        for _ in isListLong ? Self.deepPositions : [] {
            if let id = next().bytes { nextTasks.append(id) }
        }
        // Where nobody takes tasks, the first one is enough.
        if snapshot.size[.active] == 0 && snapshot.processed == lastProcessed { nextTasks = Array(nextTasks.prefix(1)) }
        for state in [TaskState.scheduled, .retry] {
            let reply = next()
            note(reply, unless: snapshot.size[state] == nil)
            snapshot.overdue[state] = reply.number
        }
        readExpiredLeases(next())
        readArchive(next())
        snapshot.groups = number(next())
        if asksForGroups {
            let members = next()
            note(members, unless: snapshot.groups == nil)
            groupNames = (members.elements ?? []).compactMap(\.bytes)
            // The last one may go between the two commands.
            if members.elements?.isEmpty == true { snapshot.size[.aggregating] = 0 }
        }
        if snapshot.groups == 0 { snapshot.size[.aggregating] = 0 }
        if let groups = snapshot.groups, groups > Self.maxGroups || (!asksForGroups && groups > 0) {
            groupNames = []
            limit("more than \(Self.maxGroups) groups; they are not summed up")
        }
    }

    private mutating func limit(_ what: String) {
        errors.append(RedisError(.limit, "queue \(snapshot.name.text) has \(what)"))
    }

    private mutating func readExpiredLeases(_ reply: RedisReply) {
        if let text = reply.errorText {
            errors.append(RedisError(reply: text, queue: snapshot.name))
            return
        }
        expiredLeases = Set((reply.elements ?? []).compactMap(\.bytes))
        if expiredLeases.isEmpty { snapshot.orphaned = 0 }
        if expiredLeases.count >= Self.maxActive {
            limit("\(Self.maxActive) or more expired leases; orphans are not counted")
            expiredLeases = []
        }
    }

    private mutating func readArchive(_ reply: RedisReply) {
        note(reply, unless: snapshot.size[.archived] == nil)
        guard reply.errorText == nil else { return }
        archived = ArchiveArrivals.Member.list(reply)
        if isBaseline {
            unreadLetters.add(archived, areArrivals: false)
            if let newest = archived.last {
                archiveRestFrom = min(newest.score, now.wholeSeconds) - ArchiveArrivals.overlapSeconds
            }
        } else if archived.count >= Self.archiveChunk {
            // By score, not by rank: one that leaves between the two readings would shift the ranks of those after it.
            archiveRestFrom = archived.last?.score
        }
        if archiveRestFrom == nil { countArrivals(isComplete: true) }
    }

    private mutating func countArrivals(isComplete: Bool) {
        if isBaseline {
            arrivals.begin(archived, at: now.wholeSeconds)
        } else {
            let new = arrivals.look(archived, at: now.wholeSeconds, isComplete: isComplete)
            unreadLetters.add(new, areArrivals: true)
        }
        snapshot.deadLettered = arrivals.total
    }

    // MARK: Round trip 3

    mutating func addDetails(to pipeline: inout RedisPipeline) {
        second = pipeline.count
        for id in nextTasks {
            pipeline.add(
                "HMGET", AsynqKeys.task(snapshot.name, id: id), Array("state".utf8), Array("pending_since".utf8))
        }
        if !expiredLeases.isEmpty {
            let last = String(Self.maxActive - 1)
            pipeline.add("LRANGE", AsynqKeys.queue(snapshot.name, "active"), Array("0".utf8), Array(last.utf8))
        }
        if let archiveRestFrom {
            addArchive(from: archiveRestFrom, count: ArchiveArrivals.maxMembers, to: &pipeline)
        }
        for group in groupNames { pipeline.add("ZCARD", AsynqKeys.group(snapshot.name, group)) }
        secondEnd = pipeline.count
    }

    mutating func readDetails(_ replies: [RedisReply]) {
        if replies[second..<secondEnd].contains(.unanswered) {
            isUnanswered = true
            return
        }
        var index = second
        func next() -> RedisReply {
            defer { index += 1 }
            return replies[index]
        }
        if !nextTasks.isEmpty { readLatency(nextTasks.map { _ in next() }) }
        if !expiredLeases.isEmpty { readActive(next()) }
        if archiveRestFrom != nil { readArchiveRest(next()) }
        guard !groupNames.isEmpty else { return }
        var aggregating: Int64 = 0
        for _ in groupNames {
            guard let count = number(next()) else { return }
            let (sum, overflow) = aggregating.addingReportingOverflow(count)
            aggregating = overflow ? .max : sum
        }
        snapshot.size[.aggregating] = aggregating
    }

    /// An orphan is active and its lease has expired. A lease alone says nothing: it may have outlived its task.
    private mutating func readActive(_ reply: RedisReply) {
        note(reply, unless: snapshot.size[.active] == nil)
        guard let active = reply.elements else { return }
        snapshot.orphaned = active.reduce(0) { count, id in
            count + (id.bytes.map { expiredLeases.contains($0) } == true ? 1 : 0)
        }
        if active.count >= Self.maxActive { limit("\(Self.maxActive) or more active tasks; the first are looked at") }
    }

    private mutating func readArchiveRest(_ reply: RedisReply) {
        note(reply, unless: false)
        guard reply.errorText == nil else { return }
        let members = ArchiveArrivals.Member.list(reply)
        // Ascending: what does not fit is read by the next scrape.
        let isComplete = members.count < ArchiveArrivals.maxMembers
        if !isComplete { limit("\(ArchiveArrivals.maxMembers) or more new dead letters at once") }
        archived = isBaseline ? members : archived + members
        countArrivals(isComplete: isComplete)
    }

    /// As Asynq computes it: now − `pending_since` of the next task, 0 where it has none; a clock ahead of ours gives 0.
    /// Tasks that workers have taken since the round trip before are passed over. If those are not the whole list, the age
    /// is not known.
    private mutating func readLatency(_ replies: [RedisReply]) {
        for reply in replies {
            if let text = reply.errorText {
                errors.append(RedisError(reply: text, queue: snapshot.name))
                return
            }
            guard let fields = reply.elements, fields.count == 2 else {
                errors.append(
                    RedisError(.malformed, "HMGET of the next task in \(snapshot.name.text) gave no two fields"))
                return
            }
            let isPending = fields[0].bytes == Array("pending".utf8)
            // Dequeueing sets the state and takes pending_since away; a task that is done has neither.
            guard isPending || (fields[0] == .null && fields[1] != .null) else { continue }
            if fields[1] == .null {
                snapshot.latencyNanoseconds = 0
            } else if let since = fields[1].number {
                snapshot.latencyNanoseconds = max(0, now.nanoseconds(since: WallTime(nanoseconds: since)))
            } else {
                errors.append(
                    RedisError(.malformed, "pending_since of the next task in \(snapshot.name.text) is no number"))
            }
            return
        }
        if Int64(replies.count) == snapshot.size[.pending] { snapshot.latencyNanoseconds = 0 }
    }

    /// An error that no other command of the queue has reported yet.
    private mutating func note(_ reply: RedisReply, unless isReported: Bool) {
        if let text = reply.errorText, !isReported { errors.append(RedisError(reply: text, queue: snapshot.name)) }
    }

    private mutating func number(_ reply: RedisReply) -> Int64? {
        if let text = reply.errorText { errors.append(RedisError(reply: text, queue: snapshot.name)) }
        return reply.number
    }

    /// A counter that does not exist yet is 0; it never falls below.
    private mutating func counter(_ reply: RedisReply) -> Int64? {
        if reply == .null { return 0 }
        let value = number(reply).flatMap { $0 < 0 ? nil : $0 }
        if value == nil && reply.errorText == nil {
            errors.append(RedisError(.malformed, "a counter of \(snapshot.name.text) is no number"))
        }
        return value
    }
}
