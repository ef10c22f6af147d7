package import Model
package import Redis

// How much memory a queue takes, estimated as Asynq's own Inspector does it, without its script:
//
//     for each of the six collections:  MEMORY USAGE of it + its length × the mean MEMORY USAGE of up to 20 task hashes
//                                       (the first of a list, the lowest scores of a sorted set)
//     for the groups:                   the tasks in all of them × the mean of up to 20 hashes in each of the first five
//
//   round trip 1   per queue and collection: LLEN or ZCARD, MEMORY USAGE, LRANGE or ZRANGE 0 19; SMEMBERS groups
//   round trip 2   MEMORY USAGE of the sampled hashes; ZCARD of each group, ZRANGE 0 19 of the first five
//   round trip 3   MEMORY USAGE of the hashes sampled there
//
// A sampled task whose hash is gone (evicted, deleted by hand) is left out of the mean; Asynq's script fails there.
struct MemoryScrape {
    private static let sampled = 20
    private static let sampledGroups = 5
    /// More groups than this are not looked at, as in the scrape: the estimate is without them then.
    static let maxGroups = QueueScrape.maxGroups

    private struct Collection {
        var count: Double
        var bytes: Double
        var ids: [[UInt8]]
    }

    let name: QueueName
    private(set) var errors: [RedisError] = []
    private let asksForGroups: Bool
    private var isFailed = false
    private var collections: [Collection] = []
    private var groups: [[UInt8]] = []
    private var groupIDs: [[UInt8]] = []
    private var total = 0.0
    private var aggregating = 0.0
    private var first = 0

    init(_ name: QueueName, groupCount: Int64) {
        self.name = name
        asksForGroups = groupCount <= Self.maxGroups
    }

    /// nil where something could not be read, or makes no sense.
    var bytes: Int64? { isFailed ? nil : Int64(exactly: total.rounded(.down)) }

    private static let range = ["0", String(sampled - 1)].map { Array($0.utf8) }

    private static func addUsage(_ key: [UInt8], to pipeline: inout RedisPipeline) {
        pipeline.add("MEMORY", keyAt: 1, list: [Array("USAGE".utf8), key])
    }

    // MARK: Round trip 1

    mutating func addCollections(to pipeline: inout RedisPipeline) {
        first = pipeline.count
        for counted in QueueScrape.countedStates {
            let key = AsynqKeys.queue(name, counted.key)
            pipeline.add(counted.command, key)
            Self.addUsage(key, to: &pipeline)
            pipeline.add(counted.isList ? "LRANGE" : "ZRANGE", list: [key] + Self.range)
        }
        if asksForGroups { pipeline.add("SMEMBERS", AsynqKeys.queue(name, "groups")) }
    }

    mutating func readCollections(_ replies: [RedisReply]) {
        var index = first
        for _ in QueueScrape.countedStates {
            let count = number(replies[index])
            // A key that does not exist has no size.
            let bytes = replies[index + 1] == .null ? 0 : number(replies[index + 1])
            collections.append(Collection(count: count ?? 0, bytes: bytes ?? 0, ids: list(replies[index + 2])))
            index += 3
        }
        if asksForGroups { groups = list(replies[index]) }
    }

    // MARK: Round trip 2

    mutating func addSamples(to pipeline: inout RedisPipeline) {
        first = pipeline.count
        if isFailed { return }
        for collection in collections {
            for id in collection.ids { Self.addUsage(AsynqKeys.task(name, id: id), to: &pipeline) }
        }
        for group in groups { pipeline.add("ZCARD", AsynqKeys.group(name, group)) }
        for group in groups.prefix(Self.sampledGroups) {
            pipeline.add("ZRANGE", list: [AsynqKeys.group(name, group)] + Self.range)
        }
    }

    mutating func readSamples(_ replies: [RedisReply]) {
        if isFailed { return }
        var index = first
        for collection in collections {
            let sizes = replies[index..<index + collection.ids.count]
            index += collection.ids.count
            total += Double(collection.bytes) + Double(collection.count) * mean(sizes)
        }
        for _ in groups {
            aggregating += number(replies[index]) ?? 0
            index += 1
        }
        for _ in groups.prefix(Self.sampledGroups) {
            groupIDs += list(replies[index])
            index += 1
        }
    }

    // MARK: Round trip 3

    mutating func addGroupSamples(to pipeline: inout RedisPipeline) {
        first = pipeline.count
        if isFailed { return }
        for id in groupIDs { Self.addUsage(AsynqKeys.task(name, id: id), to: &pipeline) }
    }

    mutating func readGroupSamples(_ replies: [RedisReply]) {
        if isFailed { return }
        total += aggregating * mean(replies[first..<first + groupIDs.count])
        if Int64(exactly: total.rounded(.down)) == nil { fail("a size") }
    }

    // MARK: Replies

    private mutating func mean(_ replies: ArraySlice<RedisReply>) -> Double {
        var sum = 0.0
        var found = 0.0
        for reply in replies where reply != .null {
            sum += number(reply) ?? 0
            found += 1
        }
        return found == 0 ? 0 : sum / found
    }

    private mutating func number(_ reply: RedisReply) -> Double? {
        check(reply)
        guard reply.errorText == nil, reply != .unanswered else { return nil }
        guard let number = reply.number, number >= 0 else {
            fail("a size or count")
            return nil
        }
        return Double(number)
    }

    private mutating func fail(_ what: String) {
        if !isFailed { errors.append(RedisError(.malformed, "queue \(name.text): \(what) is no sensible number")) }
        isFailed = true
    }

    private mutating func list(_ reply: RedisReply) -> [[UInt8]] {
        check(reply)
        return (reply.elements ?? []).compactMap(\.bytes)
    }

    /// One error a queue is enough: they have one cause. A node that did not answer is reported by the client.
    private mutating func check(_ reply: RedisReply) {
        if let text = reply.errorText, !isFailed { errors.append(RedisError(reply: text)) }
        if reply.errorText != nil || reply == .unanswered { isFailed = true }
    }
}

/// What one sampling found.
package struct MemorySample: Sendable {
    package var bytes: [QueueName: Int64] = [:]
    package var errors: [RedisError] = []

    package init() {}
}

extension RedisSnapshot {
    package mutating func take(_ sample: MemorySample) {
        for index in queues.indices { queues[index].memoryBytes = sample.bytes[queues[index].name] }
        partialErrors += sample.errors.map(\.reason)
    }
}

package enum MemorySampler {
    /// Queues whose commands go into one pipeline: at most about 240 commands each.
    private static let queuesAtOnce = 50

    /// - Parameters:
    ///   - queues: of the last scrape.
    ///   - deadline: of the whole sampling.
    package static func sample(
        _ client: any RedisClient, _ queues: [QueueSnapshot], deadline: MonotonicTime
    ) throws(RedisError) -> MemorySample {
        var sample = MemorySample()
        var rest = queues[...]
        while !rest.isEmpty {
            var chunk = rest.prefix(queuesAtOnce).map { MemoryScrape($0.name, groupCount: $0.groups ?? 0) }
            rest = rest.dropFirst(chunk.count)
            try ask(client, &chunk, deadline, { $0.addCollections(to: &$1) }, { $0.readCollections($1) })
            try ask(client, &chunk, deadline, { $0.addSamples(to: &$1) }, { $0.readSamples($1) })
            try ask(client, &chunk, deadline, { $0.addGroupSamples(to: &$1) }, { $0.readGroupSamples($1) })
            for queue in chunk {
                if let bytes = queue.bytes { sample.bytes[queue.name] = bytes }
                sample.errors += queue.errors
            }
            // An ACL forbids it for all or for none: one error says it.
            if let refusal = sample.errors.first(where: { $0.reason == .permission }) {
                sample.errors = [refusal]
                break
            }
        }
        sample.errors += client.takeNodeErrors()
        return sample
    }

    private static func ask(
        _ client: any RedisClient, _ queues: inout [MemoryScrape], _ deadline: MonotonicTime,
        _ add: (inout MemoryScrape, inout RedisPipeline) -> Void, _ read: (inout MemoryScrape, [RedisReply]) -> Void
    ) throws(RedisError) {
        var pipeline = RedisPipeline()
        for index in queues.indices { add(&queues[index], &pipeline) }
        let replies = pipeline.count == 0 ? [] : try client.roundTrip(pipeline, deadline: deadline)
        for index in queues.indices { read(&queues[index], replies) }
    }
}
