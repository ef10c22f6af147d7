package import Model
package import Platform

/// Reads one picture of all queues over one connection: three round trips, no Lua, no writes, O(1) per queue and state.
package struct QueueScraper {
    private var filter: CompiledQueueFilter
    private let clock: Clock
    /// Messages about single keys that go to the log.
    private static let maxMessages = 10
    /// SCARD `groups` of the last scrape, where it was too much to sum up.
    private var largeGroups: [QueueName: Int64] = [:]

    package init(filter: QueueFilter, clock: Clock) {
        self.filter = filter.compiled()
        self.clock = clock
    }

    package mutating func scrape(
        _ connection: RedisConnection, deadline: MonotonicTime
    ) throws(RedisError) -> RedisSnapshot {
        let names = try queueNames(connection, deadline: deadline)
        var queues = names.map { QueueScrape($0, lastGroupCount: largeGroups[$0] ?? 0) }

        var counts = RedisPipeline()
        for index in queues.indices { queues[index].addCounts(to: &counts) }
        let now = clock.wall()
        let countReplies = try connection.roundTrip(counts, deadline: deadline)
        for index in queues.indices { queues[index].readCounts(countReplies) }

        var details = RedisPipeline()
        for index in queues.indices { queues[index].addDetails(to: &details) }
        if details.count > 0 {
            let detailReplies = try connection.roundTrip(details, deadline: deadline)
            for index in queues.indices { queues[index].readDetails(detailReplies, at: now) }
        }

        largeGroups = [:]
        for queue in queues {
            if let groups = queue.snapshot.groups, groups > QueueScrape.maxGroups {
                largeGroups[queue.snapshot.name] = groups
            }
        }
        let errors = queues.flatMap(\.errors)
        var snapshot = RedisSnapshot(
            queues: queues.map(\.snapshot), takenAt: now, partialErrors: errors.map(\.reason))
        snapshot.errorMessages = Array(Set(errors.map(\.message)).sorted().prefix(Self.maxMessages))
        return snapshot
    }

    private mutating func queueNames(
        _ connection: RedisConnection, deadline: MonotonicTime
    ) throws(RedisError) -> [QueueName] {
        var pipeline = RedisPipeline()
        pipeline.add("SMEMBERS", AsynqKeys.queues)
        let reply = try connection.roundTrip(pipeline, deadline: deadline)[0]
        if let text = reply.errorText { throw RedisError(reply: text) }
        guard let members = reply.elements else {
            throw RedisError(.protocolError, "SMEMBERS asynq:queues did not answer with a list")
        }
        var names: [QueueName] = []
        for bytes in members.compactMap(\.bytes) {
            let name = QueueName(bytes)
            if filter.accepts(name) { names.append(name) }
        }
        return names.sorted()
    }
}
