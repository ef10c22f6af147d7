package import Model
package import Platform

/// Reads one picture of all queues: three round trips, no Lua, no writes, O(1) per queue and state.
package struct QueueScraper {
    private var filter: CompiledQueueFilter
    private let clock: Clock
    /// What earlier scrapes saw of each queue.
    private var memory: [QueueName: QueueMemory] = [:]
    /// Queues that are seen for the first time were there before we looked: what lies in their archives died before our
    /// time. Until the first scrape is through, and until the first with a new filter is.
    private var isBaseline = true
    /// The queues and servers that the last scrape saw.
    private(set) var lastNames: [QueueName]?
    private(set) var lastServers: [[UInt8]: ServerSnapshot] = [:]

    private struct QueueMemory {
        var arrivals: ArchiveArrivals?
        /// While there are no `arrivals` yet.
        var isBaseline: Bool
        /// SCARD `groups`, LLEN `pending`.
        var groups: Int64
        var pending: Int64
    }

    /// Queues that are gone from Redis are remembered up to this number, so that their counters go on when they return.
    private static let maxRemembered = 20_000

    package init(filter: QueueFilter, clock: Clock) {
        self.filter = filter.compiled()
        self.clock = clock
    }

    /// Counters of queues that stay, or return, go on.
    package mutating func use(_ filter: QueueFilter) {
        self.filter = filter.compiled()
        lastNames = nil
        isBaseline = true
    }

    package mutating func scrape(
        _ client: any RedisClient, deadline: MonotonicTime
    ) throws(RedisError) -> RedisSnapshot {
        var servers = ServerScrape(last: lastServers)
        let (names, areOld, now) = try readIndexes(client, &servers, deadline: deadline)
        var queues = names.map { name in
            let known = memory[name]
            return QueueScrape(
                name, lastGroupCount: known?.groups ?? 0, lastPending: known?.pending ?? 0, arrivals: known?.arrivals,
                isBaseline: known?.isBaseline ?? isBaseline, at: now)
        }

        var counts = RedisPipeline()
        servers.addDetails(to: &counts)
        for index in queues.indices { queues[index].addCounts(to: &counts) }
        let countReplies = try client.roundTrip(counts, deadline: deadline)
        servers.readDetails(countReplies)
        for index in queues.indices { queues[index].readCounts(countReplies) }
        // Nothing but names that were read long ago: that is no scrape.
        if areOld && queues.allSatisfy(\.isUnanswered) { throw Self.noAnswer(client) }

        var details = RedisPipeline()
        for index in queues.indices { queues[index].addDetails(to: &details) }
        if details.count > 0 {
            let detailReplies = try client.roundTrip(details, deadline: deadline)
            for index in queues.indices { queues[index].readDetails(detailReplies) }
        }
        remember(queues)
        lastNames = names
        lastServers = servers.serversByKey
        let errors = client.takeNodeErrors() + servers.errors + queues.flatMap(\.errors)
        var snapshot = RedisSnapshot(
            queues: queues.map(\.snapshot), takenAt: now, partialErrors: errors.map(\.reason))
        snapshot.errorMessages = RedisSnapshot.messages(of: errors)
        snapshot.servers = servers.servers
        snapshot.schedulerEntries = servers.schedulerEntries
        snapshot.info = servers.info
        return snapshot
    }

    private mutating func remember(_ queues: [QueueScrape]) {
        if memory.count + queues.count > Self.maxRemembered {
            let present = Set(queues.map(\.snapshot.name))
            memory = memory.filter { present.contains($0.key) }
        }
        for queue in queues {
            let name = queue.snapshot.name
            let known = memory[name]
            let wasCounted = queue.snapshot.deadLettered != nil
            memory[name] = QueueMemory(
                arrivals: wasCounted ? queue.arrivals : known?.arrivals,
                isBaseline: wasCounted ? false : known?.isBaseline ?? isBaseline,
                groups: queue.snapshot.groups ?? known?.groups ?? 0,
                pending: queue.snapshot.size[.pending] ?? known?.pending ?? 0)
        }
        isBaseline = false
    }

    private mutating func readIndexes(
        _ client: any RedisClient, _ servers: inout ServerScrape, deadline: MonotonicTime
    ) throws(RedisError) -> (names: [QueueName], areOld: Bool, now: WallTime) {
        let now = clock.wall()
        var pipeline = RedisPipeline()
        pipeline.add("SMEMBERS", AsynqKeys.queues)
        servers.addIndexes(to: &pipeline, at: now)
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        servers.readIndexes(replies)
        return (try readNames(replies[0], client).sorted(), replies[0] == .unanswered, clock.wall())
    }

    private mutating func readNames(_ reply: RedisReply, _ client: any RedisClient) throws(RedisError) -> [QueueName] {
        if let text = reply.errorText { throw RedisError(reply: text) }
        // The one node of a Cluster that knows the queues is down: the others' queues are those of the last scrape.
        if reply == .unanswered {
            if let lastNames { return lastNames }
            throw Self.noAnswer(client)
        }
        guard let members = reply.elements else {
            throw RedisError(.protocolError, "SMEMBERS asynq:queues did not answer with a list")
        }
        var names: [QueueName] = []
        for bytes in members.compactMap(\.bytes) {
            let name = QueueName(bytes)
            if filter.accepts(name) { names.append(name) }
        }
        return names
    }

    private static func noAnswer(_ client: any RedisClient) -> RedisError {
        client.takeNodeErrors().first ?? RedisError(.clusterDown, "asynq:queues: no node answered")
    }
}
