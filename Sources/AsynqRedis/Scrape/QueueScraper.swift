package import Model
package import Platform
package import Redis

/// Reads one picture of all queues: three round trips, no Lua, no writes, O(1) per queue and state.
package struct QueueScraper {
    private var filter: CompiledQueueFilter
    private let clock: Clock
    /// What earlier scrapes saw of each queue.
    private var memory: [QueueName: QueueMemory] = [:]
    /// Queues that are seen for the first time were there before we looked: what lies in their archives died before our
    /// time. Until the first scrape is through, and until the first with a new filter is.
    private var isBaseline = true
    /// The queues, before the filter, and the servers that the last scrape saw.
    private var allNames: [QueueName]?
    private(set) var lastServers: [[UInt8]: ServerSnapshot] = [:]

    private var running = RunningTasks()
    private var enqueueHistory = EnqueueHistory()
    /// After a reply that was too large: the number of groups of an unknown queue is asked for before their names.
    private var isCareful = false
    /// Dead letters of which only the id is known.
    var unreadLetters: [QueueName: UnreadDeadLetters] = [:]
    /// Of queues that are gone.
    private var skippedLetters: UInt64 = 0
    /// Keys evicted by a Cluster's nodes: the sum so far, and what the nodes said last.
    private var evictedKeys: (total: Int64, last: Int64)?

    private struct QueueMemory {
        var arrivals: ArchiveArrivals?
        /// While there are no `arrivals` yet.
        var isBaseline: Bool
        /// SCARD `groups`, LLEN `pending`.
        var groups: Int64
        var pending: Int64
        var processed: Int64?
        var completed: Int64?
    }

    /// Queues that are gone from Redis are remembered up to this number, so that their counters go on when they return.
    private static let maxRemembered = 20_000

    package init(filter: QueueFilter, clock: Clock) {
        self.filter = filter.compiled()
        self.clock = clock
    }

    /// Arrivals in archives whose messages will not be read.
    mutating func takeSkippedLetters() -> UInt64 {
        var skipped = skippedLetters
        skippedLetters = 0
        for name in unreadLetters.keys { skipped += unreadLetters[name]?.takeSkipped() ?? 0 }
        return skipped
    }

    /// Counters of queues that stay, or return, go on.
    package mutating func use(_ filter: QueueFilter) {
        self.filter = filter.compiled()
        isBaseline = true
    }

    /// The queues that the last scrape saw and that the filter accepts.
    mutating func lastNames() -> [QueueName]? {
        guard let allNames else { return nil }
        return accepted(allNames)
    }

    private mutating func accepted(_ names: [QueueName]) -> [QueueName] {
        var accepted: [QueueName] = []
        for name in names where filter.accepts(name) { accepted.append(name) }
        return accepted
    }

    package mutating func scrape(
        _ client: any RedisClient, deadline: MonotonicTime
    ) throws(RedisError) -> RedisSnapshot {
        do throws(RedisError) {
            let snapshot = try readSnapshot(client, deadline: deadline)
            isCareful = false
            return snapshot
        } catch {
            isCareful = error.reason == .limit
            running.recordFailure()
            throw error
        }
    }

    private mutating func readSnapshot(
        _ client: any RedisClient, deadline: MonotonicTime
    ) throws(RedisError) -> RedisSnapshot {
        var servers = ServerCommands(last: lastServers)
        let (names, areOld, now) = try readIndexes(client, &servers, deadline: deadline)
        var queues = names.map { name in
            let known = memory[name]
            return QueueCommands(
                name, lastGroupCount: known?.groups ?? (isCareful ? .max : 0), lastPending: known?.pending ?? 0,
                lastProcessed: known?.processed, arrivals: known?.arrivals,
                unreadLetters: unreadLetters[name] ?? UnreadDeadLetters(), isBaseline: known?.isBaseline ?? isBaseline,
                at: now)
        }

        var counts = RedisPipeline()
        let serverDetails = servers.addDetails(to: &counts)
        let busyServers = serverDetails.servers?.map(\.key).filter { lastServers[$0]?.busyWorkers != 0 }
        let runningLists = running.addLists(of: busyServers ?? [], to: &counts)
        let queueCounts = queues.map { $0.addCounts(to: &counts) }
        let countReplies = try client.roundTrip(counts, deadline: deadline)
        servers.readDetails(serverDetails, countReplies)
        running.readLists(runningLists, countReplies)
        for index in queues.indices { queues[index].readCounts(queueCounts[index], countReplies) }
        // Nothing but names that were read long ago: that is no scrape.
        if areOld && queues.allSatisfy(\.isUnanswered) { throw Self.noAnswer(client) }

        var details = RedisPipeline()
        let runningTasks = running.addTasks(to: &details)
        let newestEnqueued = enqueueHistory.addNewest(of: servers.schedulerEntries ?? [], to: &details)
        let queueDetails = queues.map { $0.addDetails(to: &details) }
        if details.count > 0 {
            let detailReplies = try client.roundTrip(details, deadline: deadline)
            running.readTasks(runningTasks, detailReplies)
            enqueueHistory.readNewest(newestEnqueued, detailReplies)
            for index in queues.indices { queues[index].readDetails(queueDetails[index], detailReplies) }
        }
        running.readMore(client, deadline: deadline)
        let longest = running.longest(at: now)
        var snapshots = remember(queues)
        for index in snapshots.indices { snapshots[index].longestRunning = longest[snapshots[index].name] }
        lastServers = servers.serversByKey
        let errors =
            client.takeNodeErrors() + servers.errors + [running.error, enqueueHistory.error].compactMap { $0 }
            + queues.flatMap(\.errors)
        var snapshot = RedisSnapshot(
            queues: snapshots, takenAt: now, partialErrors: errors.map(\.reason))
        snapshot.errorMessages = RedisSnapshot.messages(of: errors)
        snapshot.servers = servers.servers
        snapshot.schedulerEntries = servers.schedulerEntries.map { enqueueHistory.complete($0) }
        snapshot.info = servers.info
        if servers.nodeCount > 1 { snapshot.info.evictedKeys = evicted(servers.info.evictedKeys) }
        return snapshot
    }

    /// A node that starts again begins at zero, and the sum falls by what it had; Prometheus would take that for a reset
    /// of all.
    private mutating func evicted(_ sum: Int64?) -> Int64? {
        guard let sum else { return nil }
        let total = evictedKeys.map { $0.total &+ max(0, sum &- $0.last) } ?? sum
        evictedKeys = (total, sum)
        return total
    }

    /// Returns the snapshots, with the counters that need to know the scrape before.
    private mutating func remember(_ queues: [QueueCommands]) -> [QueueSnapshot] {
        if memory.count + queues.count > Self.maxRemembered {
            let present = Set(queues.map(\.snapshot.name))
            memory = memory.filter { present.contains($0.key) }
        }
        var snapshots: [QueueSnapshot] = []
        snapshots.reserveCapacity(queues.count)
        for queue in queues {
            let name = queue.snapshot.name
            let known = memory[name]
            var snapshot = queue.snapshot
            snapshot.completed = completed(snapshot, after: known)
            snapshots.append(snapshot)
            let wasCounted = queue.snapshot.deadLettered != nil
            memory[name] = QueueMemory(
                arrivals: wasCounted ? queue.arrivals : known?.arrivals,
                isBaseline: wasCounted ? false : known?.isBaseline ?? isBaseline,
                groups: queue.snapshot.groups ?? known?.groups ?? 0,
                pending: queue.snapshot.size[.pending] ?? known?.pending ?? 0,
                processed: snapshot.processed ?? known?.processed, completed: snapshot.completed ?? known?.completed)
        }
        let present = Set(queues.map(\.snapshot.name))
        for (name, letters) in unreadLetters where !present.contains(name) {
            skippedLetters += letters.skipped + UInt64(letters.unread.count(where: \.isArrival))
        }
        unreadLetters = Dictionary(queues.map { ($0.snapshot.name, $0.unreadLetters) }) { first, _ in first }
        isBaseline = false
        return snapshots
    }

    /// A failure adds to both counters at once, but they are read one after the other: between the two readings a failure
    /// would take one from the difference, which Prometheus would see as a reset.
    private func completed(_ snapshot: QueueSnapshot, after known: QueueMemory?) -> Int64? {
        guard let processed = snapshot.processed, let failed = snapshot.failed else { return nil }
        let completed = max(0, processed - failed)
        guard let last = known?.completed, let lastProcessed = known?.processed, processed >= lastProcessed else {
            return completed
        }
        return max(completed, last)
    }

    private mutating func readIndexes(
        _ client: any RedisClient, _ servers: inout ServerCommands, deadline: MonotonicTime
    ) throws(RedisError) -> (names: [QueueName], areOld: Bool, now: WallTime) {
        let now = clock.wall()
        var pipeline = RedisPipeline()
        let queues = pipeline.smembers(AsynqKeys.queues)
        let indexes = servers.addIndexes(to: &pipeline, at: now)
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        servers.readIndexes(indexes, replies)
        let (names, areOld) = try readNames(queues, replies, client)
        return (names.sorted(), areOld, clock.wall())
    }

    private mutating func readNames(
        _ queues: Ask<[[UInt8]]>, _ replies: [RedisReply], _ client: any RedisClient
    ) throws(RedisError) -> (names: [QueueName], areOld: Bool) {
        let members: [[UInt8]]?
        do throws(RedisError) {
            members = try replies[queues]
        } catch {
            guard error.reason == .malformed else { throw error }
            throw RedisError(.protocolError, "SMEMBERS asynq:queues did not answer with a list")
        }
        if let members {
            let names = members.map { QueueName($0) }
            allNames = names
            return (accepted(names), false)
        }
        // The one node of a Cluster that knows the queues is down: the others' queues are those of the last scrape.
        if let names = lastNames() { return (names, true) }
        throw Self.noAnswer(client)
    }

    private static func noAnswer(_ client: any RedisClient) -> RedisError {
        client.takeNodeErrors().first ?? RedisError(.clusterDown, "asynq:queues: no node answered")
    }
}
