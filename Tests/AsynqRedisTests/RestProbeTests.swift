import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("Queues that rest")
struct RestProbeTests {
    private static func snapshot(_ name: String, archived: Int64 = 0) -> QueueSnapshot {
        var queue = QueueSnapshot(name: QueueName(name))
        for state in TaskState.allCases { queue.size[state] = 0 }
        queue.size[.archived] = archived
        (queue.processed, queue.failed, queue.completed) = (5, 2, 3)
        (queue.groups, queue.isPaused, queue.deadLettered, queue.latencyNanoseconds) = (0, false, 0, 0)
        (queue.orphaned, queue.overdue) = (0, [.scheduled: 0, .retry: 0])
        return queue
    }

    /// Its newest dead letter was counted, and its failures stand still: Redis was behind.
    private static func queue(_ name: String, archived: Int64 = 0) -> RestProbe.Queue {
        var queue = snapshot(name, archived: archived)
        queue.failed = 4
        var arrivals = ArchiveArrivals()
        arrivals.begin(archived == 0 ? [] : [counted], at: 2000)
        return RestProbe.Queue(snapshot: queue, failed: 2, arrivals: arrivals)
    }

    private static let counted = ScoredMember(member: Array("counted".utf8), score: 1000)

    private static func members(_ members: (id: String, score: Int64)...) -> RedisReply {
        .array(members.flatMap { [.string(Array($0.id.utf8)), .string(Array(String($0.score).utf8))] })
    }

    private static func texts(_ texts: String?...) -> RedisReply {
        .array(texts.map { text in text.map { .string(Array($0.utf8)) } ?? .null })
    }

    @Test("Ten are asked with one command, in a Cluster each with its own")
    func commands() {
        let queues = (0..<25).map { Self.queue("q\($0)", archived: $0 == 7 ? 3 : 0) }
        for (areJoined, commands) in [(true, 3 + 3 + 2), (false, 25 + 25 + 2)] {
            var pipeline = RedisPipeline()
            _ = RestProbe(queues, areJoined: areJoined, in: &pipeline)
            #expect(pipeline.count == commands)
        }
    }

    @Test("What must not exist is every key that the queue had not: its empty states, its groups and its pause")
    func absentKeys() throws {
        var pipeline = RedisPipeline()
        _ = RestProbe([Self.queue("a", archived: 3)], areJoined: true, in: &pipeline)
        let store = TaskStore()
        _ = try store.roundTrip(pipeline, deadline: MonotonicTime(nanoseconds: .max))
        let exists = try #require(store.asked[0].first { $0.hasPrefix("EXISTS ") })
        let kinds = ["active", "completed", "groups", "paused", "pending", "retry", "scheduled"]
        #expect(exists.split(separator: " ").dropFirst().sorted() == kinds.map { "asynq:{a}:\($0)" })
    }

    @Test("A queue rests while nothing that it had not exists, and all that it had is the same")
    func read() {
        func resting(
            _ existing: RedisReply, _ counters: RedisReply, _ archived: RedisReply,
            newest: RedisReply = Self.members(("counted", 1000))
        ) -> [String] {
            var pipeline = RedisPipeline()
            let probe = RestProbe([Self.queue("a"), Self.queue("b", archived: 3)], areJoined: true, in: &pipeline)
            #expect(pipeline.count == 4)
            return probe.read([existing, counters, archived, newest]).map(\.text).sorted()
        }
        let same = Self.texts("5", "2", "5", "2")
        #expect(resting(.integer(0), same, .integer(3)) == ["a", "b"])
        #expect(resting(.integer(1), same, .integer(3)) == [])
        #expect(resting(.integer(0), same, .integer(4)) == [])
        #expect(resting(.integer(0), Self.texts("5", "2", "6", "2"), .integer(3)) == [])
        #expect(resting(.integer(0), Self.texts("5", "2", nil, nil), .integer(3)) == [], "its counters are gone")
        #expect(resting(.integer(0), Self.texts("5", "2", "x", "2"), .integer(3)) == [])
        // What is wrong is reported where they are read as a whole.
        for wrong in [.unanswered, .error("NOPERM no"), .null] as [RedisReply] {
            #expect(resting(wrong, same, .integer(3)) == [])
            #expect(resting(.integer(0), wrong, .integer(3)) == [])
            #expect(resting(.integer(0), same, wrong) == [])
            #expect(resting(.integer(0), same, .integer(3), newest: wrong) == [])
        }
    }

    @Test("A dead letter that came is seen although another has left the archive")
    func exchanged() {
        func rests(_ newest: RedisReply) -> Bool {
            var pipeline = RedisPipeline()
            let probe = RestProbe([Self.queue("a", archived: 1)], areJoined: true, in: &pipeline)
            return !probe.read([.integer(0), Self.texts("5", "2"), .integer(1), newest]).isEmpty
        }
        #expect(rests(Self.members(("counted", 1000))))
        #expect(rests(Self.members()), "the newest was deleted")
        #expect(!rests(Self.members(("new", 1001))))
        #expect(!rests(Self.members(("new", 995))), "its worker's clock is behind")
        #expect(!rests(Self.members(("counted", 1001))), "run by hand, and archived again")
        #expect(rests(.array((0..<999).flatMap { _ in [.string(Self.counted.member), .string(Array("1000".utf8))] })))
        #expect(
            !rests(.array((0..<1000).flatMap { _ in [.string(Self.counted.member), .string(Array("1000".utf8))] })))
    }

    @Test("A queue rests once nothing in it can move by itself, and nothing was processed since the scrape before")
    func rests() {
        let queue = Self.snapshot("q", archived: 3)
        #expect(queue.rests(after: (5, 2)) && !queue.rests(after: (4, 2)) && !queue.rests(after: (nil, nil)))
        let changes: [(inout QueueSnapshot) -> Void] = [
            { $0.size[.pending] = 1 }, { $0.size[.active] = 1 }, { $0.size[.scheduled] = 1 }, { $0.size[.retry] = 1 },
            { $0.size[.aggregating] = 1 }, { $0.groups = 1 }, { $0.isPaused = true }, { $0.orphaned = 1 },
            { $0.size[.pending] = nil }, { $0.size[.archived] = nil }, { $0.size[.completed] = nil },
            { $0.failed = nil }, { $0.isPaused = nil }, { $0.deadLettered = nil }, { $0.latencyNanoseconds = nil },
            { $0.orphaned = nil }, { $0.overdue = [:] }, { $0.groups = nil },
        ]
        for (index, change) in changes.enumerated() {
            var changed = queue
            change(&changed)
            #expect(!changed.rests(after: (5, 2)), "\(index)")
        }
    }
}
