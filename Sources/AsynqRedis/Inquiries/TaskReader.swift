import Model
import Redis

/// Reads the place and the state of one task.
///
///     round trip 1   HSTRLEN t:<id> msg
///     round trip 2   HMGET t:<id> state pending_since [msg]; ZMSCORE scheduled, retry, lease, archived
///
/// A message holds the payload: one that is larger than `maxMessageBytes` is not read.
enum TaskReader {
    static let maxMessageBytes = MessageLimit.bytes

    /// Returns the task; nil where it does not exist.
    ///
    /// - Throws: `RedisError` where Redis, or the node of the queue, can't be asked, or refuses.
    static func read(
        _ task: TaskName, _ client: any RedisClient, names: CarriedNames, deadline: MonotonicTime
    ) throws(RedisError) -> TaskDetails? {
        let key = AsynqKeys.task(task.queue, id: task.id)
        var first = RedisPipeline()
        let lengthAsk = first.hstrlen(key, "msg")
        let length = try client.value(of: lengthAsk, client.roundTrip(first, deadline: deadline))
        if length == 0 { return nil }
        var second = RedisPipeline()
        let asks = Asks(task, key: key, withMessage: length <= maxMessageBytes, to: &second)
        let replies = try client.roundTrip(second, deadline: deadline)
        let fields = try client.value(of: asks.fields, replies)
        guard let state = fields[0] else { return nil }
        var details = TaskDetails(task: task, state: ForeignText(state).cut(to: 64))
        details.message = fields.count > 2 ? fields[2].flatMap { TaskMessageDetails(message: $0, names: names) } : nil
        details.pendingSince = fields[1].flatMap { WallTime(pendingSince: $0) }
        switch TaskState(rawValue: details.state.text) {
        case .scheduled: details.nextRunAt = time(asks.scheduled, replies)
        case .retry: details.nextRunAt = time(asks.retry, replies)
        case .active: details.leaseExpiresAt = time(asks.lease, replies)
        case .archived: details.archivedAt = time(asks.archived, replies)
        case .pending, .completed, .aggregating, nil: break
        }
        details.deadlineAt = details.message?.deadlineAt
        return details
    }

    private struct Asks {
        let fields: Ask<[[UInt8]?]>
        let scheduled: Ask<[Int64?]>
        let retry: Ask<[Int64?]>
        let lease: Ask<[Int64?]>
        let archived: Ask<[Int64?]>

        init(_ task: TaskName, key: [UInt8], withMessage: Bool, to pipeline: inout RedisPipeline) {
            let names = ["state", "pending_since"] + (withMessage ? ["msg"] : [])
            fields = pipeline.hmget(key, names.map { Array($0.utf8) })
            func score(_ suffix: StaticString) -> Ask<[Int64?]> {
                pipeline.zmscore(AsynqKeys.queue(task.queue, suffix), [task.id])
            }
            scheduled = score("scheduled")
            retry = score("retry")
            lease = score("lease")
            archived = score("archived")
        }
    }

    /// Returns the time; nil where the task is not in the set, and where that can't be read: the rest is known all the
    /// same.
    private static func time(_ ask: Ask<[Int64?]>, _ replies: [RedisReply]) -> WallTime? {
        do throws(RedisError) {
            return WallTime(score: try replies[ask]?.first ?? nil)
        } catch {
            return nil
        }
    }
}

/// Reads the retries of a queue that are due next.
///
///     round trip 1   ZRANGE retry 0 19 WITHSCORES
///     round trip 2   HSTRLEN t:<id> msg of each
///     round trip 3   HMGET t:<id> msg state of each, up to `TaskReader.maxMessageBytes` of messages
enum RetryReader {
    static let maxRetries = 20

    static func read(
        _ queue: QueueName, _ client: any RedisClient, names: CarriedNames, deadline: MonotonicTime
    ) throws(RedisError) -> [DueRetry] {
        var first = RedisPipeline()
        let membersAsk = first.zrangeWithScores(AsynqKeys.queue(queue, "retry"), from: 0, to: maxRetries - 1)
        let members = try client.value(of: membersAsk, client.roundTrip(first, deadline: deadline))
        if members.isEmpty { return [] }
        var second = RedisPipeline()
        let lengthAsks = members.map { second.hstrlen(AsynqKeys.task(queue, id: $0.member), "msg") }
        let lengths = try client.roundTrip(second, deadline: deadline)
        var third = RedisPipeline()
        var bytes = 0
        var messageAsks: [Ask<[[UInt8]?]>?] = []
        for (member, ask) in zip(members, lengthAsks) {
            let length = max(0, Int(try client.value(of: ask, lengths)))
            let fits = length <= TaskReader.maxMessageBytes - bytes
            bytes += fits ? length : 0
            messageAsks.append(fits ? third.hmget(AsynqKeys.task(queue, id: member.member), "msg", "state") : nil)
        }
        let replies = third.count == 0 ? [] : try client.roundTrip(third, deadline: deadline)
        var retries: [DueRetry] = []
        for (member, ask) in zip(members, messageAsks) {
            guard let at = WallTime(score: member.score) else { continue }
            let fields = try ask.map { ask throws(RedisError) in try client.value(of: ask, replies) }
            // The task has left the set meanwhile.
            if let fields, fields[1] != Array("retry".utf8) { continue }
            retries.append(
                DueRetry(
                    id: ForeignText(member.member), at: at,
                    message: fields?[0].flatMap { TaskMessageDetails(message: $0, names: names) }))
        }
        return retries
    }
}

extension RedisClient {
    /// Returns the reply to a command.
    ///
    /// - Throws: `RedisError` with the refusal, or with the reason why the node that holds the key could not be asked.
    fileprivate func value<Reply>(of ask: Ask<Reply>, _ replies: [RedisReply]) throws(RedisError) -> Reply {
        if let value = try replies[ask] { return value }
        throw takeNodeErrors().first ?? RedisError(.clusterDown, "the node that holds the queue did not answer")
    }
}

extension WallTime {
    /// Reads a score in Unix seconds; returns nil for a number that is out of range.
    fileprivate init?(score: Int64?) {
        guard let score, (1..<9_000_000_000).contains(score) else { return nil }
        self.init(seconds: score)
    }
}
