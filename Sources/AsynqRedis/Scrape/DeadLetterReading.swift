import Model
import Platform
import Redis

/// One queue's dead letters whose messages are still to be read: the newest ones, in the order in which they died.
struct UnreadDeadLetters {
    struct Unread {
        let member: ArchiveArrivals.Member
        let isArrival: Bool
    }

    /// Of more only the newest.
    static let maxPerQueue = 20

    private(set) var unread: [Unread] = []
    /// Arrivals that were pushed out by newer ones before they were read, or could not be read; until somebody takes them.
    private(set) var skipped: UInt64 = 0

    mutating func add(_ members: [ArchiveArrivals.Member], areArrivals: Bool) {
        unread += members.sorted { $0.score < $1.score }.map { Unread(member: $0, isArrival: areArrivals) }
        skip(max(0, unread.count - Self.maxPerQueue))
    }

    /// The oldest ones.
    mutating func skip(_ count: Int) {
        skipped += UInt64(unread.prefix(count).count(where: \.isArrival))
        unread.removeFirst(min(count, unread.count))
    }

    /// Takes the newest ones out.
    mutating func take(_ count: Int) -> [Unread] {
        let taken = Array(unread.suffix(count))
        unread.removeLast(taken.count)
        return taken
    }

    mutating func putBack(_ letters: [Unread]) { unread += letters }

    mutating func takeSkipped() -> UInt64 {
        defer { skipped = 0 }
        return skipped
    }

    mutating func noteSkipped(_ letters: [Unread]) { skipped += UInt64(letters.count(where: \.isArrival)) }
}

/// Reads the messages of dead letters, after a scrape and apart from it: however large they are, the numbers come.
///
///     HMGET t:<id> msg       for as many at once as `MessageBudget` allows
struct DeadLetterReader {
    /// After one scrape, in all queues together. The others come after the next one, if no newer ones do.
    static let maxLetters = 200
    static let maxRoundTrips = 20
    /// Of an id, as it is shown.
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
            for (queue, letter) in chunk {
                pipeline.add("HMGET", AsynqKeys.task(queue, id: letter.member.id), Array("msg".utf8))
            }
            let replies: [RedisReply]
            do throws(RedisError) {
                replies = try client.roundTrip(pipeline, deadline: deadline)
            } catch {
                giveBack(chunk, &unread)
                return (letters, errors, error)
            }
            for (item, reply) in zip(chunk, replies) {
                budget.note(reply.elements?.first?.bytes?.count ?? 0)
                if reply == .unanswered {
                    unread[item.queue]?.putBack([item.letter])
                    continue
                }
                do throws(RedisError) {
                    if let letter = try Self.letter(item.queue, item.letter, reply, noting: tasks) {
                        letters.append(letter)
                    }
                } catch {
                    errors.append(error)
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

    /// One that brings this about by itself must not do so for ever.
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
        _ queue: QueueName, _ unread: UnreadDeadLetters.Unread, _ reply: RedisReply, noting tasks: SeenTasks
    ) throws(RedisError) -> DeadLetter? {
        guard let task = try StoredTask(reply: reply, queue: queue, names: tasks.names),
            (1..<9_000_000_000).contains(unread.member.score)
        else { return nil }
        // The span of its last attempt may still be to come.
        tasks.note(queue: queue, id: unread.member.id, ready: nil, task: task)
        return DeadLetter(
            task: TaskName(queue: queue, id: Array(unread.member.id.prefix(maxIDBytes))), type: task.type,
            archivedAt: WallTime(seconds: unread.member.score), errorMessage: task.errorMessage,
            retried: Int(task.retried), lastFailedAt: task.lastFailedAt, context: task.context,
            isArrival: unread.isArrival)
    }
}

/// The newest dead letters of each queue that were seen, newest first. Filled by the Redis thread.
struct DeadLetterShelf {
    /// In all queues together.
    static let maxLetters = 5_000

    private var letters: [QueueName: [DeadLetter]] = [:]

    /// `present`: the queues that Redis has.
    mutating func add(_ new: [DeadLetter], present: [QueueName]) {
        if !new.isEmpty || letters.count > present.count {
            let names = Set(present)
            letters = letters.filter { names.contains($0.key) }
        }
        for letter in new {
            var shelf = letters[letter.task.queue] ?? []
            // It was run again, and has died again.
            shelf.removeAll { $0.task.id == letter.task.id }
            let place = shelf.firstIndex { $0.archivedAt <= letter.archivedAt } ?? shelf.count
            shelf.insert(letter, at: place)
            letters[letter.task.queue] = Array(shelf.prefix(UnreadDeadLetters.maxPerQueue))
        }
        if !new.isEmpty { trim() }
    }

    /// The oldest ones go.
    private mutating func trim() {
        guard letters.values.reduce(0, { $0 + $1.count }) > Self.maxLetters else { return }
        letters = Dictionary(grouping: newest.prefix(Self.maxLetters), by: \.task.queue)
    }

    var newest: [DeadLetter] { letters.values.joined().sorted { $0.archivedAt > $1.archivedAt } }
}
