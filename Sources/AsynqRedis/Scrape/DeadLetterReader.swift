import Model
import Platform
import Redis

/// Reads the messages of dead letters, after a scrape and apart from it: however large they are, the numbers come.
///
///     HMGET t:<id> msg state for as many at once as `MessageBudget` allows
struct DeadLetterReader {
    /// After one scrape, in all queues together. The others come after the next one, if no newer ones do.
    static let maxLetters = 200
    static let maxRoundTrips = 20
    /// The most bytes of an id that are shown.
    private static let maxIDBytes = 1024

    private var budget = MessageBudget()
    /// Whose turn it is first, where not all can be read.
    private var turn = 0

    /// Reads what it can; the rest stays in `unread`. `failure`: what ended the connection meanwhile.
    mutating func read(
        _ unread: inout [QueueName: UnreadDeadLetters], _ client: any RedisClient, noting tasks: SeenTasks,
        deadline: MonotonicTime
    ) -> (letters: [DeadLetter], errors: [RedisError], failure: RedisError?) {
        var names = unread.filter { !$0.value.unread.isEmpty }.keys.sorted()
        if !names.isEmpty { names = Array(names[(turn % names.count)...] + names[..<(turn % names.count)]) }
        turn += 1
        var (letters, errors): ([DeadLetter], [RedisError]) = ([], [])
        for _ in 0..<Self.maxRoundTrips {
            let chunk = take(min(budget.count, Self.maxLetters - letters.count), names, &unread)
            if chunk.isEmpty { break }
            var pipeline = RedisPipeline()
            let messages = chunk.map { pipeline.archivedMessage($0.queue, id: $0.letter.member.member) }
            let replies: [RedisReply]
            do throws(RedisError) {
                replies = try client.roundTrip(pipeline, deadline: deadline)
            } catch {
                giveBack(chunk, &unread)
                return (letters, errors, error)
            }
            for (item, message) in zip(chunk, messages) {
                do throws(RedisError) {
                    guard let answer = try replies[message] else {
                        unread[item.queue]?.putBack([item.letter])
                        continue
                    }
                    budget.note(answer?.count ?? 0)
                    if let letter = try Self.letter(item.queue, item.letter, answer, noting: tasks) {
                        letters.append(letter)
                    }
                } catch {
                    errors.append(error.about(item.queue))
                    unread[item.queue]?.noteSkipped([item.letter])
                }
            }
        }
        return (letters, errors, nil)
    }

    private func take(
        _ count: Int, _ names: [QueueName], _ unread: inout [QueueName: UnreadDeadLetters]
    ) -> [(queue: QueueName, letter: UnreadDeadLetters.Unread)] {
        var chunk: [(queue: QueueName, letter: UnreadDeadLetters.Unread)] = []
        for name in names where chunk.count < count {
            let taken = unread[name]?.take(count - chunk.count) ?? []
            chunk += taken.map { (name, $0) }
        }
        return chunk
    }

    /// One that brings this about by itself must not do so without end.
    private mutating func giveBack(
        _ chunk: [(queue: QueueName, letter: UnreadDeadLetters.Unread)], _ unread: inout [QueueName: UnreadDeadLetters]
    ) {
        for (queue, letter) in chunk {
            if chunk.count == 1 {
                unread[queue]?.noteSkipped([letter])
            } else {
                unread[queue]?.putBack([letter])
            }
        }
        budget.noteFailure()
    }

    /// nil: the task has left the archive meanwhile, or its score is no time.
    private static func letter(
        _ queue: QueueName, _ unread: UnreadDeadLetters.Unread, _ message: [UInt8]?, noting tasks: SeenTasks
    ) throws(RedisError) -> DeadLetter? {
        guard let message else { return nil }
        let task = try StoredTask(message: message, names: tasks.names)
        guard (1..<9_000_000_000).contains(unread.member.score) else { return nil }
        // The span of its last attempt may still be to come.
        tasks.note(queue: queue, id: unread.member.member, ready: nil, task: task)
        return DeadLetter(
            task: TaskName(queue: queue, id: Array(unread.member.member.prefix(maxIDBytes))), type: task.type,
            archivedAt: WallTime(seconds: unread.member.score), errorMessage: task.errorMessage,
            retried: Int(task.retried), lastFailedAt: task.lastFailedAt, context: task.context,
            isArrival: unread.isArrival)
    }
}
