package import Model
package import Platform
package import Redis

/// Reads one picture of all queues: three round trips, no Lua, no writes, O(1) per queue and state.
///
/// A queue is known by `asynq:queues` and by the servers that live. Clients of Asynq 0.25 and later add it to
/// `asynq:queues` only once. After FLUSHALL, an eviction or a deletion by another process, tasks therefore run that the
/// set does not know of.
package struct QueueScraper {
    private var filter: CompiledQueueFilter
    private let clock: Clock
    /// The bytes that queues and their names may take; those that come last by name are not read.
    private let maxQueueBytes: Int
    /// The memory of earlier scrapes, by queue.
    private var memory: [QueueName: QueueMemory] = [:]
    /// True until the first scrape is done, and until the first with a new filter is. Queues that are seen for the
    /// first time were there before: what lies in their archives died earlier.
    private var isBaseline = true
    /// The members of `asynq:queues`, before the filter; nil until a scrape could read them.
    private var registered: Set<QueueName>?
    /// The members of `asynq:queues`, and the queues of the servers that the last scrape saw, before the filter,
    /// sorted; nil until a scrape is done.
    private(set) var allNames: [QueueName]?
    private(set) var lastServers: [[UInt8]: ServerSnapshot] = [:]
    private(set) var redisClock = RedisClock()

    private var running = RunningTasks()
    private var enqueueHistory = EnqueueHistory()
    /// True after a reply that was too large: the number of groups of an unknown queue is asked for before their names.
    private var isCareful = false
    /// The dead letters of which only the id is known.
    var unreadLetters: [QueueName: UnreadDeadLetters] = [:]
    /// The number of skipped dead letters of queues that are gone.
    private var skippedLetters: UInt64 = 0
    private var evictedKeys = EvictedKeys()

    private struct QueueMemory {
        var arrivals: ArchiveArrivals?
        /// The baseline, while `arrivals` is nil.
        var isBaseline: Bool
        /// The number of groups (SCARD `groups`), and of pending tasks (LLEN `pending`).
        var groups: Int64 = 0
        var pending: Int64 = 0
        /// The totals as they were read last.
        var totals: (processed: Int64?, failed: Int64?)
        var counters = QueueCounters()
        /// The last snapshot of a queue in which no number can change by itself.
        var resting: QueueSnapshot?

        var atRest: RestProbe.Queue? {
            guard let resting, let arrivals else { return nil }
            return RestProbe.Queue(snapshot: resting, failed: totals.failed, arrivals: arrivals)
        }
    }

    /// The longest name of a queue that is read: it stands in each command and on each line of the page.
    private static let maxNameBytes = 1024
    /// The bytes that a queue takes beside its name, in the commands for it and in what is made of their replies.
    private static let bytesPerQueue = 1536
    /// The bytes that the name of a group takes, in a reply and in the command that counts its tasks.
    private static let bytesPerGroup = 128
    /// The number of queues that are remembered once they are gone from Redis, so that their dead letters go on when
    /// they return.
    private static let maxRemembered = 20_000

    package init(filter: QueueFilter, clock: Clock, maxQueueBytes: Int = 256 << 20) {
        self.filter = filter.compiled()
        self.clock = clock
        self.maxQueueBytes = maxQueueBytes
    }

    /// Returns the number of arrivals in archives whose messages will not be read.
    mutating func takeSkippedLetters() -> UInt64 {
        var skipped = skippedLetters
        skippedLetters = 0
        for name in unreadLetters.keys { skipped += unreadLetters[name]?.takeSkipped() ?? 0 }
        return skipped
    }

    /// Sets the filter. Counters of queues that stay, or return, go on.
    package mutating func use(_ filter: QueueFilter) {
        self.filter = filter.compiled()
        isBaseline = true
    }

    /// Returns the queues that the last scrape saw and that the filter accepts.
    mutating func lastNames() -> [QueueName]? { allNames.map { accepted($0) } }

    private mutating func accepted(_ names: some Sequence<QueueName>) -> [QueueName] {
        var accepted: [QueueName] = []
        for name in names where name.bytes.count <= Self.maxNameBytes && filter.accepts(name) { accepted.append(name) }
        return accepted
    }

    /// Reads all queues once. What a part of it costs is in the snapshot's `partialErrors`.
    /// - Throws: `RedisError` where Redis, or the index of queues, can't be read.
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
        var servers = ServerCommands(last: lastServers, clock: redisClock)
        let start = try readIndexes(client, &servers, deadline: deadline)
        var groups = maxQueueBytes / Self.bytesPerGroup
        var queues = accepted(start.names).filter { !start.resting.contains($0) }.map { scrape(of: $0, start, &groups) }
        try readCounts(client, queues: &queues, servers: &servers, deadline: deadline)
        // These are servers that name queues which the last scrape did not know.
        if servers.servers != nil { lastServers = servers.serversByKey }
        let served = Set(lastServers.values.flatMap(\.queues))
        var others = accepted(served.subtracting(start.names)).map { scrape(of: $0, start, &groups) }
        try readCounts(client, &others, deadline: deadline)
        let known = (start.areNamesOld ? start.names : registered ?? []).union(served)
        queues = (queues + others).filter { known.contains($0.snapshot.name) }
        if let error = start.namesError, known.isEmpty { throw error }
        let resting = start.resting.intersection(known)
        // A picture made only of names that were read long ago would not be a scrape.
        if start.areNamesOld && resting.isEmpty && queues.allSatisfy(\.isUnanswered) { throw Self.noAnswer(client) }
        try readDetails(client, queues: &queues, servers: servers, deadline: deadline)
        running.readMore(client, deadline: deadline)

        allNames = known.sorted()
        redisClock = servers.clock
        let errors =
            client.takeNodeErrors() + servers.errors
            + [start.namesError, running.error, enqueueHistory.error].compactMap { $0 }
            + queues.flatMap(\.errors)
        var snapshot = RedisSnapshot(
            queues: remember(queues, resting: resting), takenAt: start.takenAt,
            partialErrors: errors.map(\.reason))
        running.complete(&snapshot.queues, at: start.now)
        snapshot.errorMessages = RedisSnapshot.messages(of: errors)
        snapshot.servers = withRunningTasks(servers.liveServers)
        snapshot.serversProblem = servers.serversProblem
        snapshot.schedulerEntries = servers.schedulerEntries.map { enqueueHistory.complete($0) }
        snapshot.cronProblem = servers.cronProblem ?? enqueueHistory.problem
        snapshot.info = servers.info
        snapshot.info.evictedKeys = evictedKeys.record(servers.info.evictedKeys, nodeCount: servers.nodeCount)
        snapshot.clockOffset = redisClock.offset
        return snapshot
    }

    private func withRunningTasks(_ live: [(key: [UInt8], server: ServerSnapshot)]?) -> [ServerSnapshot]? {
        let listed = running.listed()
        return live?.map { key, server in
            var server = server
            server.running = listed[key] ?? []
            return server
        }
    }

    // MARK: Inquiries

    mutating func accepts(_ queue: QueueName) -> Bool { filter.accepts(queue) }

    /// Adds the worker that runs the task, and the deadline, as the last scrape has seen them.
    func addWorker(to details: inout TaskDetails) {
        guard details.state == ForeignText(TaskState.active.rawValue), let (key, task) = running.find(details.task),
            let server = lastServers[key]
        else { return }
        details.worker = TaskDetails.Worker(
            host: server.host, pid: server.pid, serverID: server.id, startedAt: task.startedAt)
        details.deadlineAt = task.deadlineAt ?? details.deadlineAt
    }

    // MARK: Round trip 1

    /// The results of round trip 1.
    private struct Start {
        /// The names before the filter.
        let names: Set<QueueName>
        let areNamesOld: Bool
        /// The reason why `asynq:queues` has no names, where it is not a set.
        let namesError: RedisError?
        /// The queues that are as they were.
        let resting: Set<QueueName>
        let takenAt: WallTime
        /// The same moment by Redis' clock.
        let now: WallTime
    }

    private mutating func readIndexes(
        _ client: any RedisClient, _ servers: inout ServerCommands, deadline: MonotonicTime
    ) throws(RedisError) -> Start {
        var pipeline = RedisPipeline()
        let queues = pipeline.smembers(AsynqKeys.queues)
        let indexes = servers.addIndexes(to: &pipeline)
        let probe = RestProbe(
            (lastNames() ?? []).compactMap { memory[$0]?.atRest }, areJoined: client.takesKeysOfSeveralSlots,
            in: &pipeline)
        let sent = clock.wall()
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        let takenAt = clock.wall()
        servers.readIndexes(indexes, replies, sent: sent, received: takenAt)
        let (members, namesError) = try readNames(queues, replies)
        if let members { register(members) }
        // The one node of a Cluster that knows the queues is down: the others' queues are those of the last scrape.
        guard let known = members ?? allNames.map({ Set($0) }) else { throw Self.noAnswer(client) }
        let live = servers.serverKeys ?? Array(lastServers.keys)
        let names = known.union(live.flatMap { lastServers[$0]?.queues ?? [] })
        return Start(
            names: names, areNamesOld: members == nil, namesError: namesError,
            resting: probe.read(replies).intersection(names),
            takenAt: takenAt, now: takenAt.advanced(by: servers.clock.correction))
    }

    /// Takes over the members of `asynq:queues`. The counters of a queue that has left it begin anew: all keys are gone
    /// with it (FLUSHALL), or the queue was deleted. If its counters are still there, they go on.
    private mutating func register(_ members: Set<QueueName>) {
        for name in (registered ?? []).subtracting(members) { memory[name]?.counters = QueueCounters() }
        registered = members
    }

    /// Returns the members of `asynq:queues`, nil where no node answered. A key that is not a set has none: the queues
    /// are those of the servers.
    private func readNames(
        _ queues: Ask<[[UInt8]]>, _ replies: [RedisReply]
    ) throws(RedisError) -> (members: Set<QueueName>?, error: RedisError?) {
        do throws(RedisError) {
            guard let members = try replies[queues] else { return (nil, nil) }
            let names = bounded(members)
            let leftOut = members.count - names.count
            let error = leftOut == 0 ? nil : RedisError(.limit, Self.leftOut(leftOut))
            return (Set(names.map { QueueName($0) }), error)
        } catch {
            if error.reason == .wrongType { return ([], error) }
            guard error.reason == .malformed else { throw error }
            throw RedisError(.protocolError, "SMEMBERS asynq:queues did not answer with a list")
        }
    }

    /// Returns the names that fit into the limit.
    private func bounded(_ names: [[UInt8]]) -> [[UInt8]] {
        let readable = names.filter { $0.count <= Self.maxNameBytes }
        let bytes = readable.reduce(0) { $0 + $1.count + Self.bytesPerQueue }
        if bytes <= maxQueueBytes { return readable }
        var left = maxQueueBytes
        return readable.sorted { $0.lexicographicallyPrecedes($1) }.filter { name in
            left -= name.count + Self.bytesPerQueue
            return left >= 0
        }
    }

    private static func leftOut(_ count: Int) -> String {
        "queues that are not read: \(count). Their names are longer than \(maxNameBytes) bytes, or memory.limit is too small for all"
    }

    private static func noAnswer(_ client: any RedisClient) -> RedisError {
        client.takeNodeErrors().first ?? RedisError(.clusterDown, "asynq:queues: no node answered")
    }

    // MARK: Round trips 2 and 3

    /// - Parameter groups: The number of groups whose names may still be asked for, over all queues.
    private func scrape(of name: QueueName, _ start: Start, _ groups: inout Int) -> QueueCommands {
        let known = memory[name]
        var groupCount = known?.groups ?? (isCareful ? .max : 0)
        if groupCount <= groups { groups -= max(0, Int(groupCount)) } else { groupCount = .max }
        return QueueCommands(
            name, lastGroupCount: groupCount, lastPending: known?.pending ?? 0,
            lastProcessed: known?.totals.processed, arrivals: known?.arrivals,
            unreadLetters: unreadLetters[name] ?? UnreadDeadLetters(),
            isBaseline: known?.isBaseline ?? isOld(name), at: start.now)
    }

    /// Returns true if the archive of a queue that is seen for the first time died before the start. A queue that only
    /// servers name may have been there.
    private func isOld(_ name: QueueName) -> Bool { isBaseline || registered?.contains(name) != true }

    private mutating func readCounts(
        _ client: any RedisClient, queues: inout [QueueCommands], servers: inout ServerCommands,
        deadline: MonotonicTime
    ) throws(RedisError) {
        var pipeline = RedisPipeline()
        let serverDetails = servers.addDetails(to: &pipeline)
        let busyServers = serverDetails.servers?.map(\.key).filter { lastServers[$0]?.busyWorkers != 0 }
        let runningLists = running.addLists(of: busyServers ?? [], to: &pipeline)
        let asked = queues.map { $0.addCounts(to: &pipeline) }
        let replies = pipeline.count == 0 ? [] : try client.roundTrip(pipeline, deadline: deadline)
        servers.readDetails(serverDetails, replies)
        running.readLists(runningLists, replies)
        for index in queues.indices { queues[index].readCounts(asked[index], replies) }
    }

    private func readCounts(
        _ client: any RedisClient, _ queues: inout [QueueCommands], deadline: MonotonicTime
    ) throws(RedisError) {
        if queues.isEmpty { return }
        var pipeline = RedisPipeline()
        let asked = queues.map { $0.addCounts(to: &pipeline) }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        for index in queues.indices { queues[index].readCounts(asked[index], replies) }
    }

    private mutating func readDetails(
        _ client: any RedisClient, queues: inout [QueueCommands], servers: ServerCommands,
        deadline: MonotonicTime
    ) throws(RedisError) {
        var pipeline = RedisPipeline()
        let runningTasks = running.addTasks(to: &pipeline)
        let newestEnqueued = enqueueHistory.addNewest(of: servers.schedulerEntries ?? [], to: &pipeline)
        let asked = queues.map { $0.addDetails(to: &pipeline) }
        if pipeline.count == 0 { return }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        running.readTasks(runningTasks, replies)
        enqueueHistory.readNewest(newestEnqueued, replies)
        for index in queues.indices { queues[index].readDetails(asked[index], replies) }
    }

    // MARK: From scrape to scrape

    /// Returns the snapshots, with the counters that need to know the scrape before.
    private mutating func remember(_ queues: [QueueCommands], resting: Set<QueueName>) -> [QueueSnapshot] {
        let present = resting.union(queues.map(\.snapshot.name))
        if memory.count + queues.count > Self.maxRemembered { memory = memory.filter { present.contains($0.key) } }
        if memory.count > present.count { forgetTotals(except: present) }
        var snapshots = resting.compactMap { memory[$0]?.resting }
        snapshots.reserveCapacity(present.count)
        for queue in queues { snapshots.append(remember(queue)) }
        for index in snapshots.indices {
            snapshots[index].isRegistered = registered?.contains(snapshots[index].name)
            snapshots[index].unreadDeadLetters = unreadLetters[snapshots[index].name]?.skipped ?? 0
        }
        for (name, var letters) in unreadLetters where !present.contains(name) {
            skippedLetters += letters.takeSkipped() + UInt64(letters.unread.count(where: \.isArrival))
            unreadLetters[name] = nil
        }
        isBaseline = false
        return snapshots.sorted { $0.name < $1.name }
    }

    /// Removes the totals of queues that were gone: what they count when they come back is not a fall.
    private mutating func forgetTotals(except present: Set<QueueName>) {
        for name in memory.keys where !present.contains(name) {
            memory[name]?.counters = QueueCounters()
            memory[name]?.resting = nil
        }
    }

    private mutating func remember(_ queue: QueueCommands) -> QueueSnapshot {
        var snapshot = queue.snapshot
        let name = snapshot.name
        let known = memory[name]
        let wasCounted = snapshot.deadLettered != nil
        var new = QueueMemory(
            arrivals: wasCounted ? queue.arrivals : known?.arrivals,
            isBaseline: wasCounted ? false : known?.isBaseline ?? isOld(name),
            groups: snapshot.groups ?? known?.groups ?? 0, pending: snapshot.size[.pending] ?? known?.pending ?? 0,
            totals: (
                snapshot.processed ?? known?.totals.processed, snapshot.failed ?? known?.totals.failed
            ), counters: known?.counters ?? QueueCounters())
        let rests = known.map { snapshot.rests(after: $0.totals) } ?? false
        (snapshot.completed, snapshot.failed) = new.counters.record(
            processed: snapshot.processed, failed: snapshot.failed)
        if rests { new.resting = snapshot }
        memory[name] = new
        unreadLetters[name] = queue.unreadLetters
        return snapshot
    }
}
