package import Model
package import Platform

/// Reads one picture of all queues over one connection: three round trips, no Lua, no writes, O(1) per queue and state.
package struct QueueScraper {
    private var filter: CompiledQueueFilter
    private let clock: Clock
    /// What earlier scrapes saw of each queue.
    private var memory: [QueueName: QueueMemory] = [:]
    /// Until the first scrape is through, what lies in an archive died before our time.
    private var isFirst = true

    /// Messages about single keys that go to the log.
    private static let maxMessages = 10

    private struct QueueMemory {
        var arrivals: ArchiveArrivals
        /// SCARD `groups`.
        var groups: Int64
    }

    /// Queues that are gone from Redis are remembered up to this number, so that their counters go on when they return.
    private static let maxRemembered = 20_000

    package init(filter: QueueFilter, clock: Clock) {
        self.filter = filter.compiled()
        self.clock = clock
    }

    package mutating func scrape(
        _ connection: RedisConnection, deadline: MonotonicTime
    ) throws(RedisError) -> RedisSnapshot {
        var servers = ServerScrape()
        let (names, now) = try readIndexes(connection, &servers, deadline: deadline)
        var queues = names.map { name in
            let known = memory[name]
            return QueueScrape(
                name, lastGroupCount: known?.groups ?? 0, arrivals: known?.arrivals, isBaseline: isFirst, at: now)
        }

        var counts = RedisPipeline()
        servers.addDetails(to: &counts)
        for index in queues.indices { queues[index].addCounts(to: &counts) }
        let countReplies = try connection.roundTrip(counts, deadline: deadline)
        servers.readDetails(countReplies)
        for index in queues.indices { queues[index].readCounts(countReplies) }

        var details = RedisPipeline()
        for index in queues.indices { queues[index].addDetails(to: &details) }
        if details.count > 0 {
            let detailReplies = try connection.roundTrip(details, deadline: deadline)
            for index in queues.indices { queues[index].readDetails(detailReplies) }
        }
        remember(queues)
        let errors = servers.errors + queues.flatMap(\.errors)
        var snapshot = RedisSnapshot(
            queues: queues.map(\.snapshot), takenAt: now, partialErrors: errors.map(\.reason))
        snapshot.errorMessages = Array(Set(errors.map(\.message)).sorted().prefix(Self.maxMessages))
        snapshot.servers = servers.servers
        snapshot.schedulerEntries = servers.schedulerEntries
        snapshot.info = servers.info
        return snapshot
    }

    private mutating func remember(_ queues: [QueueScrape]) {
        isFirst = false
        if memory.count + queues.count > Self.maxRemembered {
            let present = Set(queues.map(\.snapshot.name))
            memory = memory.filter { present.contains($0.key) }
        }
        for queue in queues {
            // A count that could not be taken leaves the archive unknown: its next look is the first.
            guard queue.snapshot.deadLettered != nil || memory[queue.snapshot.name] != nil else { continue }
            memory[queue.snapshot.name] = QueueMemory(arrivals: queue.arrivals, groups: queue.snapshot.groups ?? 0)
        }
    }

    private mutating func readIndexes(
        _ connection: RedisConnection, _ servers: inout ServerScrape, deadline: MonotonicTime
    ) throws(RedisError) -> (names: [QueueName], now: WallTime) {
        let now = clock.wall()
        var pipeline = RedisPipeline()
        pipeline.add("SMEMBERS", AsynqKeys.queues)
        servers.addIndexes(to: &pipeline, at: now)
        let replies = try connection.roundTrip(pipeline, deadline: deadline)
        if let text = replies[0].errorText { throw RedisError(reply: text) }
        guard let members = replies[0].elements else {
            throw RedisError(.protocolError, "SMEMBERS asynq:queues did not answer with a list")
        }
        servers.readIndexes(replies)
        var names: [QueueName] = []
        for bytes in members.compactMap(\.bytes) {
            let name = QueueName(bytes)
            if filter.accepts(name) { names.append(name) }
        }
        return (names.sorted(), clock.wall())
    }
}
