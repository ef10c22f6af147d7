import Model
import Platform
import Redis

/// Reads the messages of dead letters, after a scrape and apart from it: the numbers come, however large the messages
/// are.
///
///     HSTRLEN t:<id> msg of each
///     HMGET t:<id> msg state for as many at once as `MessageLimit` allows
struct DeadLetterReader {
    /// The number read after one scrape, in all queues together. The others come after the next one, if no newer ones
    /// do.
    static let maxLetters = 200
    static let maxRoundTrips = 20
    /// The most bytes of an id that are shown.
    private static let maxIDBytes = 1024

    private var limit = MessageLimit()
    /// The queue whose turn it is first, where not all can be read.
    private var turn = 0

    /// Reads what it can; the rest stays in `unread`. `failure` is the error that ended the connection meanwhile.
    mutating func read(
        _ unread: inout [QueueName: UnreadDeadLetters], _ client: any RedisClient, noting tasks: SeenTasks,
        deadline: MonotonicTime
    ) -> (letters: [DeadLetter], errors: [RedisError], failure: RedisError?) {
        var names = unread.filter { !$0.value.unread.isEmpty }.keys.sorted()
        if !names.isEmpty { names = Array(names[(turn % names.count)...] + names[..<(turn % names.count)]) }
        turn += 1
        let chunk = take(Self.maxLetters, of: names, from: &unread)
        if chunk.isEmpty { return ([], [], nil) }
        var (letters, errors): ([DeadLetter], [RedisError]) = ([], [])
        var left: [Sized] = []
        do throws(RedisError) {
            left = try measure(chunk, client: client, errors: &errors, unread: &unread, deadline: deadline)
        } catch {
            for item in chunk { unread[item.queue]?.putBack([item.letter]) }
            return ([], [], error)
        }
        for _ in 1..<Self.maxRoundTrips where !left.isEmpty {
            var portion = limit.portion
            let part = left.prefix { portion.take($0.bytes) }.map(\.item)
            left.removeFirst(part.count)
            do throws(RedisError) {
                letters += try readMessages(
                    part, client: client, errors: &errors, unread: &unread, noting: tasks, deadline: deadline)
                limit.recordSuccess()
            } catch {
                for sized in left { unread[sized.item.queue]?.putBack([sized.item.letter]) }
                giveBack(part, &unread)
                return (letters, errors, error)
            }
        }
        for sized in left { unread[sized.item.queue]?.putBack([sized.item.letter]) }
        return (letters, errors, nil)
    }

    private typealias Item = (queue: QueueName, letter: UnreadDeadLetters.Unread)
    private typealias Sized = (item: Item, bytes: Int64)

    /// Returns those whose messages may be read, with their lengths. The others are skipped, or put back where their
    /// node did not answer.
    private func measure(
        _ chunk: [Item], client: any RedisClient, errors: inout [RedisError],
        unread: inout [QueueName: UnreadDeadLetters], deadline: MonotonicTime
    ) throws(RedisError) -> [Sized] {
        var pipeline = RedisPipeline()
        let lengths = chunk.map { pipeline.messageLength($0.queue, id: $0.letter.member.member) }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        var sized: [Sized] = []
        for (item, ask) in zip(chunk, lengths) {
            do throws(RedisError) {
                guard let bytes = try replies[ask] else {
                    unread[item.queue]?.putBack([item.letter])
                    continue
                }
                if let refusal = MessageLimit.refusal(bytes, queue: item.queue, id: item.letter.member.member) {
                    errors.append(refusal)
                    unread[item.queue]?.recordSkipped([item.letter])
                } else {
                    sized.append((item, bytes))
                }
            } catch {
                errors.append(error.about(item.queue))
                unread[item.queue]?.recordSkipped([item.letter])
            }
        }
        return sized
    }

    private func readMessages(
        _ part: [Item], client: any RedisClient, errors: inout [RedisError],
        unread: inout [QueueName: UnreadDeadLetters], noting tasks: SeenTasks, deadline: MonotonicTime
    ) throws(RedisError) -> [DeadLetter] {
        var pipeline = RedisPipeline()
        let messages = part.map { pipeline.archivedMessage($0.queue, id: $0.letter.member.member) }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        var letters: [DeadLetter] = []
        for (item, message) in zip(part, messages) {
            do throws(RedisError) {
                guard let answer = try replies[message] else {
                    unread[item.queue]?.putBack([item.letter])
                    continue
                }
                if let letter = try Self.letter(item.queue, unread: item.letter, message: answer, noting: tasks) {
                    letters.append(letter)
                }
            } catch {
                errors.append(error.about(item.queue))
                unread[item.queue]?.recordSkipped([item.letter])
            }
        }
        return letters
    }

    private func take(
        _ count: Int, of names: [QueueName], from unread: inout [QueueName: UnreadDeadLetters]
    ) -> [Item] {
        var chunk: [Item] = []
        for name in names where chunk.count < count {
            let taken = unread[name]?.take(count - chunk.count) ?? []
            chunk += taken.map { (name, $0) }
        }
        return chunk
    }

    /// Puts dead letters back after a failure. One that causes the failure by itself must not do so without end.
    private mutating func giveBack(_ chunk: [Item], _ unread: inout [QueueName: UnreadDeadLetters]) {
        for (queue, letter) in chunk {
            if chunk.count == 1 {
                unread[queue]?.recordSkipped([letter])
            } else {
                unread[queue]?.putBack([letter])
            }
        }
        limit.recordFailure()
    }

    /// Reads a dead letter; returns nil where the task has left the archive meanwhile, or its score is out of range.
    private static func letter(
        _ queue: QueueName, unread: UnreadDeadLetters.Unread, message: [UInt8]?, noting tasks: SeenTasks
    ) throws(RedisError) -> DeadLetter? {
        guard let message else { return nil }
        let task = try StoredTask(message: message, names: tasks.names)
        guard (1..<9_000_000_000).contains(unread.member.score) else { return nil }
        // The span of its last attempt may still be to come.
        tasks.record(queue: queue, id: unread.member.member, ready: nil, task: task)
        return DeadLetter(
            task: TaskName(queue: queue, id: Array(unread.member.member.prefix(maxIDBytes))), type: task.type,
            archivedAt: WallTime(seconds: unread.member.score), errorMessage: task.errorMessage,
            retried: Int(task.retried), lastFailedAt: task.lastFailedAt, context: task.context,
            isArrival: unread.isArrival)
    }
}
