import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("Reading dead letters")
struct DeadLetterReaderTests {
    private static let queue = QueueName("q")

    private static func unread(_ ids: String...) -> [QueueName: UnreadDeadLetters] {
        var letters = UnreadDeadLetters()
        letters.add(
            ids.enumerated().map { ScoredMember(member: Array($1.utf8), score: 1_700_000_000 + Int64($0)) },
            areArrivals: true)
        return [queue: letters]
    }

    private static func store(_ ids: String...) -> TaskStore {
        let store = TaskStore()
        // `type` "x", `retried` 3.
        for id in ids { store.hashes["asynq:{q}:t:\(id)"] = ["msg": [0x0A, 1, 0x78, 0x30, 3]] }
        return store
    }

    private static let deadline = MonotonicTime(nanoseconds: .max)

    @Test("A letter carries what its message says; one that has left the archive is none")
    func letters() {
        var unread = Self.unread("gone", "a")
        var reader = DeadLetterReader()
        let (letters, errors, failure) = reader.read(
            &unread, Self.store("a"), noting: SeenTasks(), deadline: Self.deadline)
        #expect(letters.map(\.task.id) == [Array("a".utf8)])
        #expect(letters.first?.retried == 3 && letters.first?.type == TaskType("x"))
        #expect(letters.first?.archivedAt == WallTime(seconds: 1_700_000_001))
        #expect(errors.isEmpty && failure == nil)
        #expect(unread[Self.queue]?.unread.isEmpty == true && unread[Self.queue]?.skipped == 0)
    }

    @Test("A task that was run again, or another one under its id, is no letter, and is not remembered as one")
    func anotherState() {
        for (state, count) in [("archived", 1), ("pending", 0), ("active", 0)] {
            var unread = Self.unread("a")
            let (store, seen) = (Self.store("a"), SeenTasks())
            store.hashes["asynq:{q}:t:a"]?["state"] = Array(state.utf8)
            var reader = DeadLetterReader()
            #expect(reader.read(&unread, store, noting: seen, deadline: Self.deadline).letters.count == count)
            #expect(seen.count == count && unread[Self.queue]?.unread.isEmpty == true)
        }
    }

    @Test("One that can't be read costs itself, is named, and counts as skipped")
    func unreadable() {
        var unread = Self.unread("a", "wrong", "broken")
        let store = Self.store("a")
        store.instead["HMGET asynq:{q}:t:wrong"] = .error("WRONGTYPE no hash")
        store.hashes["asynq:{q}:t:broken"] = ["msg": [0x0A, 0x7F]]
        var reader = DeadLetterReader()
        let (letters, errors, _) = reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline)
        #expect(letters.count == 1)
        #expect(errors.map(\.reason).sorted { $0.rawValue < $1.rawValue } == [.malformed, .wrongType])
        #expect(errors.allSatisfy { $0.message.hasPrefix("queue q: ") })
        #expect(unread[Self.queue]?.skipped == 2)
    }

    @Test("What a node did not answer is read the next time", arguments: ["HSTRLEN", "HMGET"])
    func unanswered(command: String) {
        var unread = Self.unread("a")
        let store = Self.store("a")
        store.instead["\(command) asynq:{q}:t:a"] = .unanswered
        var reader = DeadLetterReader()
        #expect(reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).letters.isEmpty)
        #expect(unread[Self.queue]?.unread.count == 1 && unread[Self.queue]?.skipped == 0)
        store.instead = [:]
        #expect(reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).letters.count == 1)
    }

    @Test("After a failure they are read one by one; the one that fails by itself is skipped")
    func failure() {
        var unread = Self.unread("a", "b", "c")
        let store = Self.store("a", "b", "c")
        var reader = DeadLetterReader()
        for roundTrips in [0, 1] {
            store.failsAfter = roundTrips
            #expect(
                reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).failure?.reason == .timeout)
            #expect(unread[Self.queue]?.unread.count == 3 && unread[Self.queue]?.skipped == 0)
        }
        store.failsAfter = 1
        #expect(reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).failure != nil)
        #expect(unread[Self.queue]?.unread.count == 2 && unread[Self.queue]?.skipped == 1)
        #expect(reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).letters.count == 2)
        #expect(store.asked.suffix(3).map(\.count) == [2, 1, 1])
    }

    @Test("One whose message is too large is skipped, named and never asked for; the others are read")
    func tooLarge() {
        var unread = Self.unread("a", "large", "b")
        let store = Self.store("a", "large", "b")
        store.instead["HSTRLEN asynq:{q}:t:large"] = .integer(50 << 20)
        var reader = DeadLetterReader()
        let (letters, errors, failure) = reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline)
        #expect(letters.count == 2 && failure == nil)
        #expect(errors.map(\.reason) == [.limit] && errors[0].message.contains("task large has 52428800 bytes"))
        #expect(unread[Self.queue]?.skipped == 1 && unread[Self.queue]?.unread.isEmpty == true)
        #expect(!store.asked.joined().contains("HMGET asynq:{q}:t:large msg state"))
    }

    /// Twenty letters wait in each of these queues.
    private static func wait(_ names: [String], in unread: inout [QueueName: UnreadDeadLetters]) -> TaskStore {
        let store = TaskStore()
        for name in names {
            for id in 0..<20 { store.hashes["asynq:{\(name)}:t:\(id)"] = ["msg": [0x0A, 1, 0x78]] }
            unread[QueueName(name), default: UnreadDeadLetters()].add(
                (0..<20).map { ScoredMember(member: Array("\($0)".utf8), score: 1_700_000_000 + Int64($0)) },
                areArrivals: true)
        }
        return store
    }

    @Test("Of more letters than are read after one scrape, each queue's have their turn to be the first")
    func turns() {
        let names = (10..<22).map { "q\($0)" }
        var unread: [QueueName: UnreadDeadLetters] = [:]
        var reader = DeadLetterReader()
        var first: [String?] = []
        for _ in names {
            let store = Self.wait(names, in: &unread)
            let letters = reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).letters
            #expect(letters.count == DeadLetterReader.maxLetters)
            first.append(letters.first?.task.queue.text)
            #expect(store.asked.map(\.count) == [200, 200])
            unread = [:]
        }
        #expect(first == names)
    }

    @Test("Large messages are read a few at a time, and never more round trips than a scrape has time for")
    func largeMessages() {
        var unread: [QueueName: UnreadDeadLetters] = [:]
        let store = Self.wait(["q", "r"], in: &unread)
        let large =
            [0x0A, 1, 0x78, 0x12, 0x80, 0x80, 0x80, 0x01] + [UInt8](repeating: 7, count: MessageLimit.bytes / 2)
        for key in store.hashes.keys { store.hashes[key] = ["msg": large] }
        var reader = DeadLetterReader()
        let letters = reader.read(&unread, store, noting: SeenTasks(), deadline: Self.deadline).letters
        #expect(store.asked.count == DeadLetterReader.maxRoundTrips)
        #expect(store.asked.map(\.count) == [40] + [Int](repeating: 1, count: 19) && letters.count == 19)
    }
}

@Suite("Dead letters to be read")
struct UnreadDeadLettersTests {
    @Test("The newest 20 wait; of those that they push out, arrivals count as skipped, and once")
    func skipped() {
        func members(_ scores: ClosedRange<Int64>) -> [ScoredMember] {
            scores.map { ScoredMember(member: [1], score: $0) }
        }
        var letters = UnreadDeadLetters()
        letters.add(members(1...18), areArrivals: false)
        letters.add(members(19...23), areArrivals: true)
        #expect(letters.unread.map(\.member.score) == Array(4...23) && letters.takeSkipped() == 0)
        letters.add(members(24...41), areArrivals: true)
        #expect(letters.unread.map(\.member.score) == Array(22...41))
        #expect(letters.takeSkipped() == 3 && letters.takeSkipped() == 0 && letters.skipped == 3)
        #expect(letters.take(2).map(\.member.score) == [40, 41])
    }
}

@Suite("The newest dead letters")
struct NewestDeadLettersTests {
    private static func letter(_ id: Int, queue: String = "q", at seconds: Int64) -> DeadLetter {
        DeadLetter(
            task: TaskName(queue: QueueName(queue), id: Array("\(id)".utf8)), type: TaskType([]),
            archivedAt: WallTime(seconds: seconds), errorMessage: ForeignText([]), retried: 0, lastFailedAt: nil,
            context: nil, isArrival: true)
    }

    @Test("They are the newest of each queue, newest first, and each task once")
    func newest() {
        var letters = NewestDeadLetters()
        let present = [QueueName("q"), QueueName("other")]
        letters.add((1...25).map { Self.letter($0, at: Int64($0)) }, present: present)
        letters.add([Self.letter(30, queue: "other", at: 10), Self.letter(7, at: 26)], present: present)
        let times = letters.all.map(\.archivedAt.wholeSeconds)
        // Task 7 died again at 26; of the 25 of its queue the newest 20 stay.
        let expected: [Int64] = [26] + (11...25).reversed() + [10, 10, 9, 8, 6]
        #expect(times == expected)
    }

    @Test("Those of queues that are gone are forgotten")
    func gone() {
        var letters = NewestDeadLetters()
        letters.add(
            [Self.letter(1, at: 1), Self.letter(2, queue: "other", at: 2)],
            present: [QueueName("q"), QueueName("other")])
        letters.add([], present: [QueueName("other")])
        #expect(letters.all.map(\.task.queue) == [QueueName("other")])
    }
}
