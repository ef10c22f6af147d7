import Model
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("Looking ahead in a real Redis")
struct LookAheadTests {
    private struct Stage {
        let server: RedisTestServer
        let redis: RedisConnection
        let time = TestClock()
        let tasks = SeenTasks()
        var sampler: LookAheadSampler

        init(count: Int = 10) throws {
            server = try RedisTestServer()
            redis = try server.connect()
            sampler = LookAheadSampler(
                count: count, interval: .seconds(1), clock: time.clock, tasks: tasks)
        }

        /// Whole seconds since when the attempt could have begun that began so long after the stage was set.
        func ready(_ id: String, startedAfter milliseconds: Int64) -> Int64? {
            let start = WallTime(nanoseconds: 1_800_000_000_000_000_000 + milliseconds * 1_000_000)
            return tasks.take(id, start: start).map { $0.wholeSeconds - 1_800_000_000 }
        }

        mutating func take(_ names: [String] = ["q"], servers: [String] = []) throws -> [WaitSample] {
            try sampler.sampleQueues(
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
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        let samples = try stage.take()
        #expect(samples == [WaitSample(queue: QueueName("q"), seconds: 7.5)])
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().isEmpty)
    }

    @Test("Only as many as configured are followed, the next ones first")
    func count() throws {
        var stage = try Stage(count: 2)
        for id in ["a", "b", "c"] { try stage.push(id, age: 1) }
        _ = try stage.take()
        #expect(stage.tasks.count == 2)
        stage.time.advance(milliseconds: 1000)
        for _ in 0..<3 { try stage.start() }
        #expect(try stage.take().count == 2)
    }

    @Test("A lease narrows the time to its second, and the wait comes when the heartbeat is due")
    func lease() throws {
        var stage = try Stage()
        try stage.push("a", age: 10)
        stage.time.advance(milliseconds: 200)
        _ = try stage.take()
        stage.time.advance(milliseconds: 1000)
        // Between x.2 and (x+1).2, in the second x+1: between x+1 and x+1.2, that is 1.1 s after it was pushed.
        try stage.start(leaseAt: stage.time.now.wholeSeconds)
        #expect(try stage.take().isEmpty)
        for _ in 0..<5 {
            stage.time.advance(milliseconds: 1000)
            #expect(try stage.take().isEmpty)
        }
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take(servers: ["asynq:servers:{h:1:s}"]).map(\.seconds) == [11.1])
    }

    @Test("After a gap nothing is guessed, and what was followed is counted as lost")
    func gap() throws {
        var stage = try Stage()
        try stage.push("a")
        try stage.push("b")
        _ = try stage.take()
        stage.time.advance(milliseconds: 2001)
        try stage.start()
        #expect(try stage.take().isEmpty)
        #expect(stage.sampler.lost[.gap] == 1)
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        #expect(try stage.take().count == 1)
    }

    @Test("A wait of less than −1 s is clock skew; a little less than zero is zero")
    func skew() throws {
        var stage = try Stage()
        try stage.push("a", age: -3600)
        try stage.push("b", age: -1)
        _ = try stage.take()
        stage.time.advance(milliseconds: 1000)
        for _ in 0..<2 { try stage.start() }
        #expect(try stage.take().map(\.seconds) == [0])
        #expect(stage.sampler.lost[.clockSkew] == 1)
    }

    @Test("A queue that could not be read has its own gap; the others go on")
    func ownGap() throws {
        var stage = try Stage()
        try stage.push("a", queue: "away")
        try stage.push("b")
        _ = try stage.take(["away", "q"])
        try stage.start(queue: "away")
        for _ in 0..<3 {
            stage.time.advance(milliseconds: 1000)
            // As a Cluster without the node would have it: only the other queue is read.
            _ = try stage.take(["q"])
        }
        #expect(stage.sampler.lost.isEmpty)
    }

    @Test("While the list of a queue can't be read, what goes is not dated into the last interval")
    func unreadable() throws {
        var stage = try Stage()
        for id in ["a", "b"] { try stage.push(id, age: 1) }
        _ = try stage.take()
        try stage.start()
        _ = try stage.redis.send("RENAME", "asynq:{q}:pending", "hidden")
        _ = try stage.redis.send("SET", "asynq:{q}:pending", "x")
        for _ in 0..<5 {
            stage.time.advance(milliseconds: 1000)
            #expect(try stage.take().isEmpty)
            #expect(stage.sampler.errors.map(\.reason) == [.wrongType])
        }
        _ = try stage.redis.send("RENAME", "hidden", "asynq:{q}:pending")
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().isEmpty)
        #expect(stage.sampler.lost[.gap] == 1)
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        #expect(try stage.take().count == 1)
    }

    @Test("A task that was pushed out of sight is no wait until it is started")
    func outOfSight() throws {
        var stage = try Stage(count: 2)
        for id in ["a", "b"] { try stage.push(id, age: 5) }
        _ = try stage.take()
        // Two workers stop and put their tasks back in front.
        for id in ["c", "d"] {
            _ = try stage.redis.send("HSET", "asynq:{q}:t:\(id)", "state", "pending")
            _ = try stage.redis.send("RPUSH", "asynq:{q}:pending", id)
        }
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().isEmpty)
        for _ in 0..<2 { try stage.start() }
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().isEmpty)
        for _ in 0..<2 { try stage.start() }
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().map(\.seconds) == [7.5, 7.5])
        #expect(stage.sampler.lost.isEmpty)
    }

    @Test("A later task under the same id, which no look saw pending, has not the time of the one before")
    func reusedID() throws {
        var stage = try Stage()
        for id in ["nightly", "other"] { try stage.push(id, age: 5) }
        _ = try stage.take()
        stage.time.advance(milliseconds: 1000)
        for _ in 0..<2 { try stage.start() }
        _ = try stage.take()
        #expect(stage.ready("nightly", startedAfter: 86_400_000) == nil)
        #expect(stage.ready("other", startedAfter: 500) == -5)
        #expect(stage.ready("other", startedAfter: 510) == nil)
    }

    @Test("However a task goes out of sight, it leaves its time to no later one")
    func reusedIDs() throws {
        // Redis was away; its queue has gone; the space was short.
        var gap = try Stage()
        try gap.push("a", age: 5)
        _ = try gap.take()
        gap.time.advance(milliseconds: 60_000)
        try gap.start()
        _ = try gap.take()
        #expect(gap.ready("a", startedAfter: 86_400_000) == nil)
        #expect(gap.ready("a", startedAfter: 30_000) == -5)

        var deleted = try Stage()
        try deleted.push("a", age: 5)
        _ = try deleted.take()
        deleted.time.advance(milliseconds: 1000)
        _ = try deleted.take([])
        #expect(deleted.ready("a", startedAfter: 86_400_000) == nil)
        #expect(deleted.ready("a", startedAfter: 500) == -5)
    }

    @Test("A task that is out of sight is followed until it is started")
    func outOfSightAndGone() throws {
        var stage = try Stage(count: 1)
        try stage.push("a", age: 5)
        _ = try stage.take()
        _ = try stage.redis.send("HSET", "asynq:{q}:t:b", "state", "pending")
        _ = try stage.redis.send("RPUSH", "asynq:{q}:pending", "b")
        for _ in 0..<3 {
            stage.time.advance(milliseconds: 1000)
            #expect(try stage.take().isEmpty)
        }
        for _ in 0..<2 { try stage.start() }
        stage.time.advance(milliseconds: 1000)
        #expect(try stage.take().map(\.seconds) == [8.5])
        #expect(stage.ready("a", startedAfter: 1000) == nil)
        #expect(stage.ready("a", startedAfter: 3500) == -5)
    }

    @Test("A stamp from the last century does not spoil the sum, and a message that can't be decoded is counted")
    func nonsense() throws {
        var stage = try Stage()
        _ = try stage.redis.send(
            "HSET", "asynq:{q}:t:a", "state", "pending", "pending_since", "1", "msg", "\u{7A}\u{05}")
        _ = try stage.redis.send("LPUSH", "asynq:{q}:pending", "a")
        _ = try stage.take()
        #expect(stage.sampler.errors.map(\.reason) == [.malformed])
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        #expect(try stage.take().isEmpty)
        #expect(stage.sampler.lost[.badStamp] == 1)
        #expect(stage.sampler.errors.isEmpty)
    }

    @Test("A task whose key has the wrong type is asked for once")
    func wrongTask() throws {
        var stage = try Stage()
        _ = try stage.redis.send("SET", "asynq:{q}:t:a", "x")
        _ = try stage.redis.send("LPUSH", "asynq:{q}:pending", "a")
        _ = try stage.take()
        #expect(stage.sampler.errors.map(\.reason) == [.wrongType])
        stage.time.advance(milliseconds: 1000)
        _ = try stage.take()
        #expect(stage.sampler.errors.isEmpty)
    }

    @Test("What a task carries is known as well where it was running before a look saw it pending")
    func running() throws {
        var stage = try Stage(count: 3)
        let id = "0123456789abcdef"
        let payload = #"{"trace_id":"\#(id)\#(id)","span_id":"\#(id)"}"#
        for task in ["old", "b", "c", "d"] {
            let message = "\u{12}" + String(Unicode.Scalar(UInt8(payload.utf8.count))) + payload
            _ = try stage.redis.send("HSET", "asynq:{q}:t:\(task)", "state", "active", "msg", message)
            _ = try stage.redis.send("LPUSH", "asynq:{q}:active", task)
        }
        _ = try stage.redis.send("HSET", "asynq:{q}:t:c", "msg", "\u{7A}\u{05}")
        _ = try stage.redis.send("DEL", "asynq:{q}:t:d")
        _ = try stage.take()
        #expect(stage.sampler.errors.map(\.reason) == [.malformed])
        func carried(_ task: String) -> CarriedMessage? {
            stage.tasks.look(task) { $0.retryCount = .integer(1) }.message
        }
        #expect(carried("b")?.context?.reference.span.hex == id)
        // The newest three only; what could not be read is not asked for again.
        #expect(carried("old") == nil && carried("c") == CarriedMessage() && carried("d") == CarriedMessage())
        _ = try stage.take()
        #expect(stage.sampler.errors.isEmpty)
    }

    @Test("A look that breaks off, in either round trip, is made up for by the next one", arguments: [0, 1])
    func brokenOff(roundTrips: Int) throws {
        var stage = try Stage()
        try stage.push("a", age: 5)
        for _ in 0..<2 {
            _ = try stage.take()
            stage.time.advance(milliseconds: 500)
        }
        try stage.start()
        stage.time.advance(milliseconds: 300)
        let broken = BreakingClient(stage.redis, after: roundTrips)
        #expect(throws: RedisError.self) {
            try stage.sampler.sampleQueues(broken, names: [QueueName("q")], servers: [], deadline: .soon)
        }
        stage.time.advance(milliseconds: 200)
        // Between 0.5 and 1.5 s.
        #expect(try stage.take().map(\.seconds) == [6])
    }

    @Test("What a look has lost counts, although it breaks off then")
    func lostBeforeItBroke() throws {
        var stage = try Stage()
        try stage.push("a")
        _ = try stage.take()
        stage.time.advance(milliseconds: 2001)
        try stage.start()
        try stage.push("b")
        let broken = BreakingClient(stage.redis, after: 1)
        #expect(throws: RedisError.self) {
            try stage.sampler.sampleQueues(broken, names: [QueueName("q")], servers: [], deadline: .soon)
        }
        #expect(stage.sampler.lost[.gap] == 1)
        #expect(try stage.take().isEmpty)
        #expect(stage.sampler.lost[.gap] == 1)
    }

    /// Fails after so many round trips.
    private final class BreakingClient: RedisClient {
        private let connection: RedisConnection
        private var left: Int

        init(_ connection: RedisConnection, after roundTrips: Int) {
            self.connection = connection
            left = roundTrips
        }

        func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
            if left == 0 { throw RedisError(.connection, "broken") }
            left -= 1
            return try connection.roundTrip(pipeline, deadline: deadline)
        }
    }

    @Test("A task that runs again and is pending again has waited once before")
    func again() throws {
        var stage = try Stage()
        try stage.push("a", age: 5)
        _ = try stage.take()
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        try stage.push("a")
        // It never left the list, as far as can be seen: nothing to observe.
        #expect(try stage.take().isEmpty)
        stage.time.advance(milliseconds: 1000)
        try stage.start()
        #expect(try stage.take().count == 1)
    }

    @Test("A list of the wrong type costs its own queue")
    func wrongType() throws {
        var stage = try Stage()
        _ = try stage.redis.send("SET", "asynq:{bad}:pending", "x")
        try stage.push("a", age: 1)
        _ = try stage.take(["bad", "q"])
        #expect(stage.sampler.errors.map(\.reason) == [.wrongType])
        #expect(stage.tasks.count == 1)
    }

    @Test("More new tasks than one look may ask for come with the next ones")
    func manyTasks() throws {
        var stage = try Stage(count: 12_000)
        var pipeline = RedisPipeline()
        for number in 0..<12_000 {
            let id = "t\(number)"
            pipeline.add(
                "HSET", list: ["asynq:{q}:t:\(id)", "pending_since", "1799999999000000000"].map { Array($0.utf8) })
            pipeline.add("LPUSH", Array("asynq:{q}:pending".utf8), Array(id.utf8))
        }
        _ = try stage.redis.roundTrip(pipeline, deadline: .soon)
        _ = try stage.take()
        #expect(stage.tasks.count == LookAheadSampler.maxAskedTasks)
        #expect(stage.sampler.lost[.limit] == 2000)
        stage.time.advance(milliseconds: 1000)
        _ = try stage.take()
        #expect(stage.tasks.count == 12_000)
    }
}
