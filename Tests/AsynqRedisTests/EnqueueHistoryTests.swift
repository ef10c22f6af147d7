import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("When cron entries last enqueued a task")
struct EnqueueHistoryTests {
    private struct Found: Equatable {
        let asked: [String]
        let last: [Int64?]
    }

    private static func entry(_ id: String, tick: Int64?) -> SchedulerEntrySnapshot {
        SchedulerEntrySnapshot(
            id: ForeignText(id), spec: ForeignText("@every 1m"), taskType: ForeignText("mail"), scheduler: [],
            nextEnqueue: nil, previousEnqueue: tick.map { WallTime(seconds: $0) })
    }

    private static func newest(_ score: String) -> RedisReply {
        .array([.string(Array("an event".utf8)), .string(Array(score.utf8))])
    }

    /// What one scrape makes of the replies to those entries that it asks for, by id.
    private static func read(
        _ history: inout EnqueueHistory, _ entries: [SchedulerEntrySnapshot], _ replies: [String: RedisReply]
    ) -> Found {
        var pipeline = RedisPipeline()
        let asks = history.addNewest(of: entries, to: &pipeline)
        history.readNewest(asks, asks.map { replies[$0.entry.text] ?? .array([]) })
        return Found(
            asked: asks.map(\.entry.text), last: history.complete(entries).map { $0.lastEnqueued?.wholeSeconds })
    }

    @Test("It is the newest score of the entry's history, absent where there is none")
    func newest() {
        var history = EnqueueHistory()
        var pipeline = RedisPipeline()
        _ = history.addNewest(of: [Self.entry("e 1", tick: nil)], to: &pipeline)
        let command = String(decoding: pipeline.bytes, as: UTF8.self)
        #expect(
            command
                == "*5\r\n$6\r\nZRANGE\r\n$27\r\nasynq:scheduler_history:e 1\r\n$2\r\n-1\r\n$2\r\n-1\r\n$10\r\nWITHSCORES\r\n"
        )
        let entries = [Self.entry("a", tick: 500), Self.entry("b", tick: 500), Self.entry("c", tick: nil)]
        let found = Self.read(&history, entries, ["a": Self.newest("1700000000"), "b": Self.newest("400")])
        #expect(found.last == [1_700_000_000, 400, nil] && history.error == nil)
    }

    @Test("An entry is asked for again after a tick, as long as no task was enqueued at it")
    func again() {
        var history = EnqueueHistory()
        func read(tick: Int64?, _ score: String) -> Found {
            Self.read(&history, [Self.entry("a", tick: tick)], ["a": Self.newest(score)])
        }
        #expect(read(tick: 500, "500") == Found(asked: ["a"], last: [500]))
        #expect(read(tick: 500, "501") == Found(asked: [], last: [500]))
        #expect(read(tick: 560, "500") == Found(asked: ["a"], last: [500]), "the tick has enqueued nothing")
        #expect(read(tick: 560, "500") == Found(asked: ["a"], last: [500]))
        #expect(read(tick: 560, "562") == Found(asked: ["a"], last: [562]), "enqueueing took its time")
        #expect(read(tick: 560, "0") == Found(asked: [], last: [562]))
        #expect(read(tick: nil, "0") == Found(asked: [], last: [562]))
    }

    @Test("What can't be read is absent and one error; while a node can't be asked, what it said last holds")
    func unreadable() {
        var history = EnqueueHistory()
        let entries = ["a", "b", "c", "d"].map { Self.entry($0, tick: 900) }
        let good = Self.newest("800")
        _ = Self.read(&history, entries, ["a": good, "b": good, "c": good, "d": good])
        let found = Self.read(
            &history, entries,
            ["a": .error("WRONGTYPE no set"), "b": Self.newest("0"), "c": .unanswered, "d": Self.newest("900")])
        #expect(found.last == [nil, nil, 800, 900] && history.error?.reason == .wrongType)
        #expect(history.complete(entries).map(\.isLastEnqueuedUnknown) == [true, true, false, false])
        #expect(history.problem == "asynq:scheduler_history:a: Redis: WRONGTYPE no set")
        _ = Self.read(&history, entries, ["a": good])
        #expect(history.error == nil && history.problem == nil)
        let new = Self.entry("e", tick: 900)
        _ = Self.read(&history, [new], ["e": .unanswered])
        #expect(history.complete([new])[0].isLastEnqueuedUnknown && history.problem != nil)
        _ = Self.read(&history, [new], [:])
        #expect(!history.complete([new])[0].isLastEnqueuedUnknown && history.problem == nil)
    }

    @Test("Entries that are gone are forgotten; more than a scrape asks for are counted as a limit")
    func bounds() {
        var history = EnqueueHistory()
        _ = Self.read(&history, [Self.entry("a", tick: 1)], ["a": Self.newest("5")])
        #expect(Self.read(&history, [Self.entry("b", tick: 1)], [:]).last == [nil])
        #expect(Self.read(&history, [Self.entry("a", tick: 1)], [:]).asked == ["a"])
        let many = (0...EnqueueHistory.maxEntries).map { Self.entry("\($0)", tick: 1) }
        #expect(Self.read(&history, Array(many.dropLast()), [:]).asked.count == EnqueueHistory.maxEntries)
        #expect(history.error == nil)
        #expect(Self.read(&history, many, [:]).asked.count == EnqueueHistory.maxEntries)
        #expect(history.error?.reason == .limit)
    }
}
