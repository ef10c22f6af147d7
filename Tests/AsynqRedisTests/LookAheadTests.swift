import Model
import Platform
import Synchronization
import Testing
@testable import AsynqRedis

@Suite("Looking ahead in a real Redis")
struct LookAheadTests {
    /// Both clocks, moved by the test.
    private final class TestClock: Sendable {
        private let nanoseconds = Mutex<Int64>(1_800_000_000_000_000_000)
        var now: WallTime { WallTime(nanoseconds: nanoseconds.withLock { $0 }) }
        func advance(_ milliseconds: Int64) { nanoseconds.withLock { $0 += milliseconds * 1_000_000 } }
        /// Its monotonic time starts where the machine's is, so that deadlines of the machine's clock hold.
        var clock: Clock {
            let start = Clock.system.monotonic()
            return Clock(
                wall: { self.now },
                monotonic: { start.advanced(byNanoseconds: UInt64(self.now.nanoseconds - 1_800_000_000_000_000_000)) })
        }
    }

    private struct Stage {
        let server: RedisTestServer
        let redis: RedisConnection
        let time = TestClock()
        let tasks = PendingTasks()
        var look: LookAhead

        init(count: Int = 10) throws {
            server = try RedisTestServer()
            redis = try server.connect()
            look = LookAhead(count: count, intervalNanoseconds: 1_000_000_000, clock: time.clock, tasks: tasks)
        }

        mutating func take(_ names: [String] = ["q"], servers: [String] = []) throws -> [WaitSample] {
            try look.look(
                redis, names: names.map { QueueName($0) }, servers: servers.map { Array($0.utf8) }, deadline: .soon)
        }

        func push(_ id: String, age: Int64 = 0, queue: String = "q") throws {
            let since = time.now.nanoseconds - age * 1_000_000_000
            _ = try redis.send("HSET", "asynq:{\(queue)}:t:\(id)", "state", "pending", "pending_since", String(since))
            _ = try redis.send("LPUSH", "asynq:{\(queue)}:pending", id)
        }

        func start(queue: String = "q", leaseAt seconds: Int64? = nil) throws {
            let id = try redis.send("RPOPLPUSH", "asynq:{\(queue)}:pending", "asynq:{\(queue)}:active").bytes ?? []
            let text = String(decoding: id, as: UTF8.self)
            _ = try redis.send("HDEL", "asynq:{\(queue)}:t:\(text)", "pending_since")
            if let seconds {
                _ = try redis.send("HSET", "asynq:{\(queue)}:t:\(text)", "state", "active")
                _ = try redis.send("ZADD", "asynq:{\(queue)}:lease", String(seconds + 30), text)
            } else {
                _ = try redis.send("DEL", "asynq:{\(queue)}:t:\(text)")
            }
        }
    }

    @Test("A task that has gone waited until the middle between two looks")
    func middle() throws {
        var stage = try Stage()
        try stage.push("a", age: 7)
        #expect(try stage.take().isEmpty)
        stage.time.advance(1000)
        try stage.start()
        let samples = try stage.take()
        #expect(samples == [WaitSample(queue: QueueName("q"), seconds: 7.5)])
        stage.time.advance(1000)
        #expect(try stage.take().isEmpty)
    }

    @Test("Only as many as configured are followed, the next ones first")
    func count() throws {
        var stage = try Stage(count: 2)
        for id in ["a", "b", "c"] { try stage.push(id, age: 1) }
        _ = try stage.take()
        #expect(stage.tasks.count == 2)
        stage.time.advance(1000)
        for _ in 0..<3 { try stage.start() }
        #expect(try stage.take().count == 2)
    }

    @Test("A lease narrows the time to its second, and the wait comes when the heartbeat is due")
    func lease() throws {
        var stage = try Stage()
        try stage.push("a", age: 10)
        stage.time.advance(200)
        _ = try stage.take()
        stage.time.advance(1000)
        // Between x.2 and (x+1).2, in the second x+1: between x+1 and x+1.2, that is 1.1 s after it was pushed.
        try stage.start(leaseAt: stage.time.now.wholeSeconds)
        #expect(try stage.take().isEmpty)
        for _ in 0..<5 {
            stage.time.advance(1000)
            #expect(try stage.take().isEmpty)
        }
        stage.time.advance(1000)
        #expect(try stage.take(servers: ["asynq:servers:{h:1:s}"]).map(\.seconds) == [11.1])
    }

    @Test("After a gap nothing is guessed, and what was followed is counted as lost")
    func gap() throws {
        var stage = try Stage()
        try stage.push("a")
        try stage.push("b")
        _ = try stage.take()
        stage.time.advance(2001)
        try stage.start()
        #expect(try stage.take().isEmpty)
        #expect(stage.look.lost[.gap] == 1)
        stage.time.advance(1000)
        try stage.start()
        #expect(try stage.take().count == 1)
    }

    @Test("A wait of less than −1 s is clock skew; a little less than zero is zero")
    func skew() throws {
        var stage = try Stage()
        try stage.push("a", age: -3600)
        try stage.push("b", age: -1)
        _ = try stage.take()
        stage.time.advance(1000)
        for _ in 0..<2 { try stage.start() }
        #expect(try stage.take().map(\.seconds) == [0])
        #expect(stage.look.lost[.clockSkew] == 1)
    }

    @Test("A task that runs again and is pending again has waited once before")
    func again() throws {
        var stage = try Stage()
        try stage.push("a", age: 5)
        _ = try stage.take()
        stage.time.advance(1000)
        try stage.start()
        try stage.push("a")
        // It never left the list, as far as can be seen: nothing to observe.
        #expect(try stage.take().isEmpty)
        stage.time.advance(1000)
        try stage.start()
        #expect(try stage.take().count == 1)
    }

    @Test("A list of the wrong type costs its own queue")
    func wrongType() throws {
        var stage = try Stage()
        _ = try stage.redis.send("SET", "asynq:{bad}:pending", "x")
        try stage.push("a", age: 1)
        _ = try stage.take(["bad", "q"])
        #expect(stage.look.errors.map(\.reason) == [.wrongType])
        #expect(stage.tasks.count == 1)
    }

    @Test("More new tasks than one look may ask for come with the next ones")
    func manyTasks() throws {
        var stage = try Stage(count: 6000)
        var pipeline = RedisPipeline()
        for number in 0..<6000 {
            let id = "t\(number)"
            pipeline.add("HSET", list: ["asynq:{q}:t:\(id)", "pending_since", "1799999999000000000"].map { Array($0.utf8) })
            pipeline.add("LPUSH", Array("asynq:{q}:pending".utf8), Array(id.utf8))
        }
        _ = try stage.redis.roundTrip(pipeline, deadline: .soon)
        _ = try stage.take()
        #expect(stage.tasks.count == LookAhead.maxNewTasks)
        #expect(stage.look.lost[.limit] == 1000)
        stage.time.advance(1000)
        _ = try stage.take()
        #expect(stage.tasks.count == 6000)
    }
}
