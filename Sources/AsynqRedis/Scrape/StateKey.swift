import Model
import Redis

/// The key of a queue that holds the tasks in one state.
struct StateKey {
    let state: TaskState
    let suffix: StaticString
    /// True for a list; the others are sorted sets.
    var isList = false

    static let all: [StateKey] = [
        .init(state: .pending, suffix: "pending", isList: true), .init(state: .active, suffix: "active", isList: true),
        .init(state: .scheduled, suffix: "scheduled"), .init(state: .retry, suffix: "retry"),
        .init(state: .archived, suffix: "archived"), .init(state: .completed, suffix: "completed"),
    ]

    func key(of queue: QueueName) -> [UInt8] { AsynqKeys.queue(queue, suffix) }

    func addCount(_ queue: QueueName, to pipeline: inout RedisPipeline) -> Ask<Int64> {
        isList ? pipeline.llen(key(of: queue)) : pipeline.zcard(key(of: queue))
    }

    /// Asks for the ids of the first tasks: of a sorted set, those with the lowest scores.
    func addFirst(_ count: Int, _ queue: QueueName, to pipeline: inout RedisPipeline) -> Ask<[[UInt8]]> {
        isList
            ? pipeline.lrange(key(of: queue), from: 0, to: count - 1)
            : pipeline.zrange(key(of: queue), from: 0, to: count - 1)
    }
}
