import Model
import Redis

/// One queue's part in a sampling of memory: its size, estimated as Asynq's own Inspector does it, without its script:
///
///     for each of the six collections:  MEMORY USAGE of it + its length × the mean MEMORY USAGE of up to 20 task hashes
///                                       (the first of a list, the lowest scores of a sorted set)
///     for the groups:                   the tasks in all of them × the mean of up to 20 hashes in each of the first five
///
///     round trip 1   per queue and collection: LLEN or ZCARD, MEMORY USAGE, LRANGE or ZRANGE 0 19; SMEMBERS groups
///     round trip 2   MEMORY USAGE of the sampled hashes; ZCARD of each group, ZRANGE 0 19 of the first five
///     round trip 3   MEMORY USAGE of the hashes sampled there
///
/// A sampled task whose hash is gone (evicted, deleted by hand) is left out of the mean; Asynq's script fails there.
struct MemoryCommands {
    private static let sampled = 20
    private static let sampledGroups = 5
    /// The number of groups that are read, as in the scrape: the estimate leaves further ones out.
    static let maxGroups = QueueCommands.maxGroups

    private struct Collection {
        let count: Double
        let bytes: Double
        let ids: [[UInt8]]
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

    init(_ name: QueueName, groupCount: Int64) {
        self.name = name
        asksForGroups = groupCount <= Self.maxGroups
    }

    /// The estimate; nil where a part could not be read, or makes no sense.
    var bytes: Int64? { isFailed ? nil : Int64(exactly: total.rounded(.down)) }

    private func addUsage(_ ids: [[UInt8]], to pipeline: inout RedisPipeline) -> [Ask<Int64?>] {
        ids.map { pipeline.memoryUsage(AsynqKeys.task(name, id: $0)) }
    }

    // MARK: Round trip 1

    struct CollectionAsks {
        let states: [(count: Ask<Int64>, bytes: Ask<Int64?>, ids: Ask<[[UInt8]]>)]
        let groups: Ask<[[UInt8]]>?
    }

    func addCollections(to pipeline: inout RedisPipeline) -> CollectionAsks {
        CollectionAsks(
            states: StateKey.all.map { state in
                (
                    state.addCount(name, to: &pipeline), pipeline.memoryUsage(state.key(of: name)),
                    state.addFirst(Self.sampled, name, to: &pipeline)
                )
            },
            groups: asksForGroups ? pipeline.smembers(AsynqKeys.queue(name, "groups")) : nil)
    }

    mutating func readCollections(_ asks: CollectionAsks, _ replies: [RedisReply]) {
        for state in asks.states {
            let count = read(state.count, replies)
            let bytes = read(state.bytes, replies)
            let ids = read(state.ids, replies) ?? []
            // A key that does not exist has no size.
            collections.append(Collection(count: size(count ?? 0), bytes: size((bytes ?? nil) ?? 0), ids: ids))
        }
        if let ask = asks.groups { groups = read(ask, replies) ?? [] }
    }

    // MARK: Round trip 2

    struct SampleAsks {
        /// The questions, one list for each collection.
        let samples: [[Ask<Int64?>]]
        let groupCounts: [Ask<Int64>]
        let groupIDs: [Ask<[[UInt8]]>]
    }

    func addSamples(to pipeline: inout RedisPipeline) -> SampleAsks {
        if isFailed { return SampleAsks(samples: [], groupCounts: [], groupIDs: []) }
        return SampleAsks(
            samples: collections.map { addUsage($0.ids, to: &pipeline) },
            groupCounts: groups.map { pipeline.zcard(AsynqKeys.group(name, $0)) },
            groupIDs: groups.prefix(Self.sampledGroups).map {
                pipeline.zrange(AsynqKeys.group(name, $0), from: 0, to: Self.sampled - 1)
            })
    }

    mutating func readSamples(_ asks: SampleAsks, _ replies: [RedisReply]) {
        for (collection, samples) in zip(collections, asks.samples) {
            total += collection.bytes + collection.count * mean(samples, replies)
        }
        for count in asks.groupCounts { aggregating += size(read(count, replies) ?? 0) }
        for ids in asks.groupIDs { groupIDs += read(ids, replies) ?? [] }
    }

    // MARK: Round trip 3

    func addGroupSamples(to pipeline: inout RedisPipeline) -> [Ask<Int64?>] {
        isFailed ? [] : addUsage(groupIDs, to: &pipeline)
    }

    mutating func readGroupSamples(_ asks: [Ask<Int64?>], _ replies: [RedisReply]) {
        if isFailed { return }
        total += aggregating * mean(asks, replies)
        if Int64(exactly: total.rounded(.down)) == nil { fail(malformed()) }
    }

    // MARK: Replies

    private mutating func mean(_ samples: [Ask<Int64?>], _ replies: [RedisReply]) -> Double {
        var sum = 0.0
        var found = 0.0
        for sample in samples {
            guard let bytes = read(sample, replies) ?? nil else { continue }
            sum += size(bytes)
            found += 1
        }
        return found == 0 ? 0 : sum / found
    }

    private mutating func size(_ number: Int64) -> Double {
        if number < 0 { fail(malformed()) }
        return Double(number)
    }

    /// Returns the reply; nil where the command failed, or was not answered: then there is no estimate. A node that did
    /// not answer is reported by the client.
    private mutating func read<Value>(_ ask: Ask<Value>, _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            if let value = try replies[ask] { return value }
            isFailed = true
        } catch {
            fail(error.reason == .malformed ? malformed() : error)
        }
        return nil
    }

    private func malformed() -> RedisError {
        RedisError(.malformed, "queue \(name.text): a size or count is out of range")
    }

    /// Records the first error of a queue; further ones have the same cause.
    private mutating func fail(_ error: RedisError) {
        if !isFailed { errors.append(error) }
        isFailed = true
    }
}
