import Model
import Redis

/// Searches for a task of which only the id is known.
///
///     round trip 1…   EXISTS t:<id> of 1,000 queues each
enum TaskSearcher {
    /// The number of queues that are searched; further ones are left out.
    static let maxQueues = 10_000
    private static let queuesAtOnce = 1000

    /// - Throws: `RedisError` where Redis can't be asked, or refuses.
    static func search(
        id: [UInt8], in names: [QueueName], _ client: any RedisClient, deadline: MonotonicTime
    ) throws(RedisError) -> TaskSearch {
        var search = TaskSearch(queues: names.count)
        let looked = names.prefix(maxQueues)
        for start in stride(from: 0, to: looked.count, by: queuesAtOnce) {
            let part = looked[start..<min(start + queuesAtOnce, looked.count)]
            var pipeline = RedisPipeline()
            let asks = part.map { ($0, pipeline.exists(AsynqKeys.task($0, id: id))) }
            let replies = try client.roundTrip(pipeline, deadline: deadline)
            for (name, ask) in asks {
                // A node of a Cluster that does not answer hides its queues only.
                guard let exists = try replies[ask] else { continue }
                search.lookedAt += 1
                if exists { search.found.append(name) }
            }
        }
        return search
    }
}
