import Model
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqDemo

/// What the demo sends to Redis, command by command.
@Suite struct AsynqStoreTests {
    private static let now: Int64 = 1_800_000_000
    /// The commands that `body` sends. A transaction's commands stand without MULTI and EXEC.
    ///
    /// - Parameter answers: by the command's name, or by its name and its key.
    private func commands(
        answering answers: [String: String] = [:], _ body: (inout AsynqStore) throws -> Void
    ) throws -> [[String]] {
        let queued = Mutex<Int?>(nil)
        let redis = try FakeRedis { _, words in
            queued.withLock { queued -> FakeAnswer in
                switch (words[0], queued) {
                case ("MULTI", _):
                    queued = 0
                    return .ok
                case ("EXEC", let count?):
                    queued = nil
                    return .send("*\(count)\r\n" + String(repeating: ":1\r\n", count: count))
                case (_, let count?):
                    queued = count + 1
                    return .send("+QUEUED\r\n")
                default: return .send(answers[words[0]] ?? answers[words.prefix(2).joined(separator: " ")] ?? ":0\r\n")
                }
            }
        }
        let clock = TestClock(WallTime(nanoseconds: Self.now * 1_000_000_000 + 7)).clock
        let deadline = clock.monotonic().advanced(by: .seconds(30))
        var store = AsynqStore(try RedisConnection(redis.endpoint, clock: clock, deadline: deadline), clock: clock)
        try body(&store)
        return redis.commands.filter { !["MULTI", "EXEC"].contains($0[0]) }
    }

    private static func task(retention: Int64 = 0) -> TaskMessage {
        var task = TaskMessage(type: "a:b", payload: [], id: "t1", queue: "q", retry: 3)
        task.retentionSeconds = retention
        return task
    }

    /// Names of commands and keys, and all that is no message.
    private func brief(_ commands: [[String]]) -> [String] {
        commands.map { words in
            words.enumerated().map { $0 > 0 && words[$0 - 1] == "msg" ? "…" : $1 }.joined(separator: " ")
        }
    }

    private static let key = "asynq:{q}:t:t1"

    @Test func aTaskIsEnqueuedAndItsQueueRegisteredOnce() throws {
        let found = try commands { store in
            try store.enqueue(Self.task())
            try store.enqueue(Self.task())
        }
        let enqueue = [
            "HSET \(Self.key) msg … state pending pending_since \(Self.now)000000007", "LPUSH asynq:{q}:pending t1",
        ]
        #expect(brief(found) == ["SADD asynq:queues q"] + enqueue + enqueue)
    }

    @Test func aTaskIsScheduled() throws {
        let found = try commands { try $0.schedule(Self.task(), atSeconds: 99) }
        #expect(
            brief(found) == [
                "SADD asynq:queues q", "HSET \(Self.key) msg … state scheduled", "ZADD asynq:{q}:scheduled 99 t1",
            ])
    }

    @Test func aQueueIsPausedAndResumed() throws {
        let found = try commands { store in
            try store.pause("q")
            try store.resume("q")
        }
        #expect(brief(found) == ["SETNX asynq:{q}:paused \(Self.now)", "DEL asynq:{q}:paused"])
    }

    @Test func aTaskIsTakenWithALeaseOfHalfAMinute() throws {
        var taken: String?
        let found = try commands(answering: ["RPOPLPUSH": "$2\r\nt1\r\n"]) {
            taken = try $0.dequeue("q")
        }
        #expect(taken == "t1")
        #expect(
            brief(found) == [
                "EXISTS asynq:{q}:paused", "RPOPLPUSH asynq:{q}:pending asynq:{q}:active",
                "HSET \(Self.key) state active", "HDEL \(Self.key) pending_since",
                "ZADD asynq:{q}:lease \(Self.now + 30) t1",
            ])
    }

    @Test func nothingIsTakenFromAQueueThatIsPausedOrEmpty() throws {
        var taken: String? = "x"
        let paused = try commands(answering: ["EXISTS": ":1\r\n"]) { taken = try $0.dequeue("q") }
        #expect(taken == nil && brief(paused) == ["EXISTS asynq:{q}:paused"])
        taken = "x"
        let empty = try commands(answering: ["RPOPLPUSH": "$-1\r\n"]) { taken = try $0.dequeue("q") }
        #expect(taken == nil && empty.count == 2)
    }

    private static let left = ["LREM asynq:{q}:active 0 t1", "ZREM asynq:{q}:lease t1"]

    private static func counted(_ what: String) -> [String] {
        let day = "asynq:{q}:\(what):2027-01-15"
        return ["INCR asynq:{q}:\(what)", "INCR \(day)", "EXPIREAT \(day) \(now + 90 * 86_400)"]
    }

    @Test func aTaskThatIsDoneIsDeletedOrKeptForItsRetention() throws {
        let deleted = try commands { try $0.complete(Self.task()) }
        #expect(brief(deleted) == Self.left + ["DEL \(Self.key)"] + Self.counted("processed"))
        let kept = try commands { try $0.complete(Self.task(retention: 30)) }
        #expect(
            brief(kept) == Self.left + [
                "HSET \(Self.key) msg … state completed", "ZADD asynq:{q}:completed \(Self.now + 30) t1",
            ] + Self.counted("processed"))
    }

    @Test func aTaskThatFailedIsTriedAgainOrDead() throws {
        for (time, state, score) in [(77, "retry", 77), (nil, "archived", Self.now)] as [(Int64?, String, Int64)] {
            let found = try commands { try $0.fail(Self.task(), retryAtSeconds: time) }
            #expect(
                brief(found) == Self.left + [
                    "ZADD asynq:{q}:\(state) \(score) t1", "HSET \(Self.key) msg … state \(state)",
                ] + Self.counted("processed") + Self.counted("failed"))
        }
    }

    @Test func whatIsDueGoesToItsQueue() throws {
        let found = try commands(answering: ["ZRANGEBYSCORE asynq:{q}:retry": "*1\r\n$2\r\nt1\r\n"]) {
            try $0.forwardDue("q")
        }
        #expect(
            brief(found) == [
                "ZRANGEBYSCORE asynq:{q}:scheduled -inf \(Self.now) LIMIT 0 100",
                "ZRANGEBYSCORE asynq:{q}:retry -inf \(Self.now) LIMIT 0 100", "ZREM asynq:{q}:retry t1",
                "LPUSH asynq:{q}:pending t1", "HSET \(Self.key) state pending pending_since \(Self.now)000000007",
            ])
    }

    @Test func whatHasExpiredIsFoundAndDeleted() throws {
        var orphans: [String] = []
        let found = try commands(answering: ["ZRANGEBYSCORE": "*1\r\n$2\r\nt1\r\n"]) { store in
            orphans = try store.orphans("q")
            try store.deleteExpired("q")
            try store.extendLeases([Self.task()])
            try store.extendLeases([])
        }
        #expect(orphans == ["t1"])
        #expect(
            brief(found) == [
                "ZRANGEBYSCORE asynq:{q}:lease -inf \(Self.now)",
                "ZRANGEBYSCORE asynq:{q}:completed -inf \(Self.now) LIMIT 0 100", "DEL \(Self.key)",
                "ZREM asynq:{q}:completed t1", "ZADD asynq:{q}:lease XX \(Self.now + 30) t1",
            ])
    }

    @Test func aServerAndASchedulerSayThatTheyLive() throws {
        let server = ServerInfo(
            host: "h", pid: 7, id: "s", concurrency: 2, queues: [("q", 1)], startedAtSeconds: 5, activeWorkers: 1)
        let worker = WorkerInfo(server: server, task: Self.task(), startedAtSeconds: 6)
        let entry = SchedulerEntry(
            id: "e", spec: "@every 1m", taskType: "a:b", queue: "q", nextSeconds: 60, previousSeconds: 50)
        let found = try commands { store in
            try store.beat(server, [worker])
            try store.beat(server, [])
            try store.beat(scheduler: "x", [entry])
        }
        let keys = found.map { $0.prefix($0[0] == "ZADD" ? 4 : 3).joined(separator: " ") }
        let (servers, workers) = ("asynq:servers:{h:7:s}", "asynq:workers:{h:7:s}")
        let lives = [
            "ZADD asynq:servers \(Self.now + 10) \(servers)", "ZADD asynq:workers \(Self.now + 10) \(workers)",
            "SETEX \(servers) 10", "DEL \(workers)",
        ]
        #expect(Array(keys.prefix(10)) == lives + ["HSET \(workers) t1", "EXPIRE \(workers) 10"] + lives)
        #expect(
            keys.dropFirst(10).prefix(2) == [
                "ZADD asynq:schedulers \(Self.now + 20) asynq:schedulers:{x}", "DEL asynq:schedulers:{x}",
            ])
        #expect(found.suffix(2).first?.prefix(3) == ["ZADD", "asynq:scheduler_history:e", "50"])
        #expect(keys.last == "EXPIRE asynq:schedulers:{x} 20")
        let running = try #require(found.first { $0[0] == "HSET" }?.last)
        for part in ["h", "s", "t1", "a:b", "q"] { #expect(running.contains(part), "\(part)") }
    }

    @Test func anErrorOfRedisIsThrown() throws {
        #expect(throws: RedisError.self) {
            let redis = try FakeRedis { _, words in .send(words[0] == "EXEC" ? "-OOM no memory\r\n" : "+OK\r\n") }
            let clock = TestClock().clock
            let deadline = clock.monotonic().advanced(by: .seconds(30))
            let store = AsynqStore(try RedisConnection(redis.endpoint, clock: clock, deadline: deadline), clock: clock)
            try store.pause("q")
        }
    }

    @Test(arguments: [
        (0, "1970-01-01"), (86_399, "1970-01-01"), (86_400, "1970-01-02"), (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"), (1_709_164_800, "2024-02-29"), (1_735_603_200, "2024-12-31"),
        (1_735_689_600, "2025-01-01"), (1_772_323_199, "2026-02-28"), (1_772_323_200, "2026-03-01"),
        (4_107_456_000, "2100-02-28"), (4_107_542_400, "2100-03-01"), (1_791_936_000, "2026-10-14"),
    ])
    func daysAreThoseOfTheCalendar(_ seconds: Int64, _ day: String) {
        #expect(WallTime(seconds: seconds).utcDay == day)
    }
}
