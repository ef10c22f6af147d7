import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("Queues that rest")
struct RestProbeTests {
    private static func queue(_ name: String, archived: Int64 = 0) -> QueueSnapshot {
        var queue = QueueSnapshot(name: QueueName(name))
        for state in TaskState.allCases { queue.size[state] = 0 }
        queue.size[.archived] = archived
        (queue.processed, queue.failed, queue.completed) = (5, 2, 3)
        (queue.groups, queue.isPaused, queue.deadLettered, queue.latencyNanoseconds) = (0, false, 0, 0)
        (queue.orphaned, queue.overdue) = (0, [.scheduled: 0, .retry: 0])
        return queue
    }

    private static func texts(_ texts: String?...) -> RedisReply {
        .array(texts.map { text in text.map { .string(Array($0.utf8)) } ?? .null })
    }

    @Test("Ten are asked with one command, in a Cluster each with its own")
    func commands() {
        let queues = (0..<25).map { Self.queue("q\($0)", archived: $0 == 7 ? 3 : 0) }
        for (areJoined, commands) in [(true, 3 + 3 + 1), (false, 25 + 25 + 1)] {
            var pipeline = RedisPipeline()
            _ = RestProbe(queues, areJoined: areJoined, in: &pipeline)
            #expect(pipeline.count == commands)
        }
    }

    @Test("A queue rests while nothing that it had not exists, and all that it had is the same")
    func read() {
        func resting(_ existing: RedisReply, _ counters: RedisReply, _ archived: RedisReply) -> [String] {
            var pipeline = RedisPipeline()
            let probe = RestProbe([Self.queue("a"), Self.queue("b", archived: 3)], areJoined: true, in: &pipeline)
            #expect(pipeline.count == 3)
            return probe.read([existing, counters, archived]).map(\.text).sorted()
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
        }
    }

    @Test("A queue rests once nothing in it can move by itself, and nothing was processed since the scrape before")
    func rests() {
        let queue = Self.queue("q", archived: 3)
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
