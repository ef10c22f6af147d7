import Model

// The pure half of a scrape: which commands to send, and what their replies mean.
//
//   round trip 1   SMEMBERS asynq:queues
//   round trip 2   per queue: LLEN pending, LLEN active, ZCARD scheduled, retry, archived, completed, GET processed,
//                  GET failed, EXISTS paused, LINDEX pending -1, SCARD groups, and SMEMBERS groups unless the last
//                  scrape saw more than `maxGroups`
//   round trip 3   HGET t:<next id> pending_since; ZCARD g:<group> for each group
//
// The same numbers as Asynq's Inspector.GetQueueInfo computes in Lua, without Lua, and whatever the number of queues in
// three round trips.

/// One queue's part in a scrape.
struct QueueScrape {
    /// More groups than this are not summed up: `aggregating` is left out then, and counted as a `limit` error.
    static let maxGroups: Int64 = 10_000
    static let countedStates: [(state: TaskState, command: StaticString, key: StaticString)] = [
        (.pending, "LLEN", "pending"), (.active, "LLEN", "active"), (.scheduled, "ZCARD", "scheduled"),
        (.retry, "ZCARD", "retry"), (.archived, "ZCARD", "archived"), (.completed, "ZCARD", "completed"),
    ]

    private(set) var snapshot: QueueSnapshot
    private(set) var errors: [RedisError] = []
    private let asksForGroups: Bool
    private var first = 0
    private var second = 0
    private var nextTask: [UInt8]?
    private var groupNames: [[UInt8]] = []

    init(_ name: QueueName, lastGroupCount: Int64) {
        snapshot = QueueSnapshot(name: name)
        asksForGroups = lastGroupCount <= Self.maxGroups
    }

    // MARK: Round trip 2

    mutating func addCounts(to pipeline: inout RedisPipeline) {
        first = pipeline.count
        let name = snapshot.name
        for counted in Self.countedStates { pipeline.add(counted.command, AsynqKeys.queue(name, counted.key)) }
        pipeline.add("GET", AsynqKeys.queue(name, "processed"))
        pipeline.add("GET", AsynqKeys.queue(name, "failed"))
        pipeline.add("EXISTS", AsynqKeys.queue(name, "paused"))
        pipeline.add("LINDEX", AsynqKeys.queue(name, "pending"), Array("-1".utf8))
        pipeline.add("SCARD", AsynqKeys.queue(name, "groups"))
        if asksForGroups { pipeline.add("SMEMBERS", AsynqKeys.queue(name, "groups")) }
    }

    mutating func readCounts(_ replies: [RedisReply]) {
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
        nextTask = nextReply.bytes
        if nextReply.errorText == nil && nextTask == nil { snapshot.latencyNanoseconds = 0 }
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
            errors.append(RedisError(.limit, "queue \(snapshot.name.text) has \(groups) groups, summed up are \(Self.maxGroups)"))
        }
    }

    // MARK: Round trip 3

    mutating func addDetails(to pipeline: inout RedisPipeline) {
        second = pipeline.count
        if let nextTask {
            pipeline.add("HGET", AsynqKeys.task(snapshot.name, id: nextTask), Array("pending_since".utf8))
        }
        for group in groupNames { pipeline.add("ZCARD", AsynqKeys.group(snapshot.name, group)) }
    }

    mutating func readDetails(_ replies: [RedisReply], at now: WallTime) {
        var index = second
        if nextTask != nil {
            readLatency(replies[index], at: now)
            index += 1
        }
        guard !groupNames.isEmpty else { return }
        var aggregating: Int64 = 0
        for _ in groupNames {
            guard let count = number(replies[index]) else { return }
            let (sum, overflow) = aggregating.addingReportingOverflow(count)
            aggregating = overflow ? .max : sum
            index += 1
        }
        snapshot.size[.aggregating] = aggregating
    }

    /// As Asynq computes it: now − `pending_since` of the next task, 0 where it has none; a clock ahead of ours gives 0.
    private mutating func readLatency(_ reply: RedisReply, at now: WallTime) {
        switch reply {
        case .null: snapshot.latencyNanoseconds = 0
        case .error(let text): errors.append(RedisError(reply: text))
        default:
            guard let since = reply.number else {
                errors.append(RedisError(.malformed, "pending_since of the next task in \(snapshot.name.text) is no number"))
                return
            }
            snapshot.latencyNanoseconds = max(0, now.nanoseconds(since: WallTime(nanoseconds: since)))
        }
    }

    /// An error that no other command of the queue has reported yet.
    private mutating func note(_ reply: RedisReply, unless isReported: Bool) {
        if let text = reply.errorText, !isReported { errors.append(RedisError(reply: text)) }
    }

    private mutating func number(_ reply: RedisReply) -> Int64? {
        if let text = reply.errorText { errors.append(RedisError(reply: text)) }
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
