import Model

/// One queue's dead letters whose messages are still to be read: the newest ones, in the order in which they died.
///
/// Those that died since the scrape before are asked for in the third round trip; those of which only that round trip has
/// told are left for the next scrape.
struct DeadLetterReading {
    struct Unread {
        let member: ArchiveArrivals.Member
        let isArrival: Bool
    }

    /// Of each queue, in one scrape: of more only the newest.
    static let maxPerQueue = 20
    /// In one scrape. The others come later, if no newer ones do.
    static let maxPerScrape = 200

    private(set) var unread: [Unread]
    /// Arrivals that were pushed out by newer ones before they were read.
    private(set) var skipped: UInt64 = 0
    private var asked: [Unread] = []
    private var first = 0

    init(_ unread: [Unread] = []) {
        self.unread = unread
    }

    mutating func add(_ members: [ArchiveArrivals.Member], areArrivals: Bool) {
        unread += members.sorted { $0.score < $1.score }.map { Unread(member: $0, isArrival: areArrivals) }
        let excess = max(0, unread.count - Self.maxPerQueue)
        skipped += UInt64(unread.prefix(excess).count(where: \.isArrival))
        unread.removeFirst(excess)
    }

    mutating func addMessages(_ queue: QueueName, _ room: inout Int, to pipeline: inout RedisPipeline) {
        first = pipeline.count
        asked = Array(unread.suffix(max(0, room)))
        unread.removeLast(asked.count)
        room -= asked.count
        for letter in asked { pipeline.add("HMGET", AsynqKeys.task(queue, id: letter.member.id), Array("msg".utf8)) }
    }

    var replyCount: Int { asked.count }

    /// There was no answer.
    mutating func putBack() {
        unread += asked
        asked = []
    }

    /// A task that has left the archive meanwhile, or whose hash was deleted, is none any more.
    func read(
        _ queue: QueueName, _ replies: ArraySlice<RedisReply>, noting tasks: SeenTasks
    ) -> (letters: [DeadLetter], problem: RedisError?) {
        var letters: [DeadLetter] = []
        var problem: RedisError?
        for (letter, reply) in zip(asked, replies) {
            do throws(RedisError) {
                guard let task = try StoredTask(reply: reply, queue: queue, names: tasks.names) else { continue }
                tasks.note(queue: queue, id: letter.member.id, ready: nil, task: task)
                letters.append(
                    DeadLetter(
                        task: TaskName(queue: queue, id: letter.member.id), type: task.type,
                        archivedAt: WallTime(seconds: letter.member.score), errorMessage: task.errorMessage,
                        retried: Int(task.retried), lastFailedAt: task.lastFailedAt, context: task.context,
                        isArrival: letter.isArrival))
            } catch {
                problem = problem ?? error
            }
        }
        return (letters, problem)
    }
}

/// The newest dead letters of each queue that were seen, newest first. Filled by the Redis thread.
struct DeadLetterShelf {
    /// In all queues together; the oldest ones go first.
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
            letters[letter.task.queue] = Array(shelf.prefix(DeadLetterReading.maxPerQueue))
        }
    }

    var newest: [DeadLetter] {
        Array(letters.values.joined().sorted { $0.archivedAt > $1.archivedAt }.prefix(Self.maxLetters))
    }
}
