package import Model
package import Redis

/// The result of one sampling.
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
    /// The number of queues whose commands go into one pipeline: at most about 240 commands each.
    private static let queuesAtOnce = 50

    /// - Parameters:
    ///   - queues: The queues of the last scrape.
    ///   - deadline: The time by which the whole sampling has to be done.
    /// - Throws: `RedisError` where Redis can't be asked. What it refuses is in the sample.
    package static func sample(
        _ client: any RedisClient, _ queues: [QueueSnapshot], deadline: MonotonicTime
    ) throws(RedisError) -> MemorySample {
        var sample = MemorySample()
        var rest = queues[...]
        while !rest.isEmpty {
            var chunk = rest.prefix(queuesAtOnce).map { MemoryCommands($0.name, groupCount: $0.groups ?? 0) }
            rest = rest.dropFirst(chunk.count)
            try ask(
                client, queues: &chunk, deadline: deadline, add: { $0.addCollections(to: &$1) },
                read: { $0.readCollections($1, $2) })
            try ask(
                client, queues: &chunk, deadline: deadline, add: { $0.addSamples(to: &$1) },
                read: { $0.readSamples($1, $2) })
            try ask(
                client, queues: &chunk, deadline: deadline, add: { $0.addGroupSamples(to: &$1) },
                read: { $0.readGroupSamples($1, $2) })
            for queue in chunk {
                if let bytes = queue.bytes { sample.bytes[queue.name] = bytes }
                sample.errors += queue.errors
            }
            // An ACL forbids it for all or for none, so one error is enough.
            if let refusal = sample.errors.first(where: { $0.reason == .permission }) {
                sample.errors = [refusal]
                break
            }
        }
        sample.errors += client.takeNodeErrors()
        return sample
    }

    /// Makes one round trip for several queues.
    private static func ask<Asked>(
        _ client: any RedisClient, queues: inout [MemoryCommands], deadline: MonotonicTime,
        add: (MemoryCommands, inout RedisPipeline) -> Asked,
        read: (inout MemoryCommands, Asked, [RedisReply]) -> Void
    ) throws(RedisError) {
        var pipeline = RedisPipeline()
        let asked = queues.map { add($0, &pipeline) }
        let replies = pipeline.count == 0 ? [] : try client.roundTrip(pipeline, deadline: deadline)
        for index in queues.indices { read(&queues[index], asked[index], replies) }
    }
}
