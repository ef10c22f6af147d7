import Logging
import Model
import Platform
import ProtobufWire
import Redis
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("Questions about single tasks, asked of a real Redis")
struct InquiryTests {
    private static func monitor(_ server: RedisTestServer, exclude: String? = nil) throws -> RedisMonitor {
        let monitor = try RedisMonitor(
            RedisMonitorOptions(
                target: RedisTarget(server.endpoint), interval: .milliseconds(100), timeout: .seconds(3),
                filter: QueueFilter(exclude: exclude)),
            clock: .system, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try monitor.start()
        try #require(eventually { monitor.current.snapshot != nil })
        return monitor
    }

    private final class Reply<Value: Sendable>: Sendable {
        let value = Mutex<InquiryAnswer<Value>?>(nil)
        func take(_ answer: InquiryAnswer<Value>) { value.withLock { $0 = answer } }

        func wait() throws -> Value {
            try #require(eventually { value.withLock { $0 != nil } })
            guard case .answer(let found)? = value.withLock({ $0 }) else {
                throw RedisError(.server, "refused: \(String(describing: value.withLock { $0 }))")
            }
            return found
        }
    }

    private static func find(_ id: String, queue: String = "q", _ monitor: RedisMonitor) throws -> TaskDetails? {
        let reply = Reply<TaskDetails?>()
        monitor.findTask(TaskName(queue: QueueName(queue), id: Array(id.utf8))) { reply.take($0) }
        return try reply.wait()
    }

    private static func message(_ error: String = "") -> String {
        var writer = WireWriter()
        writer.string(TaskMessageField.type.rawValue, "mail")
        writer.int(TaskMessageField.retry.rawValue, 5)
        writer.string(TaskMessageField.errorMessage.rawValue, error)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func stop(_ monitor: RedisMonitor) {
        monitor.beginStop()
        monitor.awaitStop(until: .soon)
    }

    @Test("A task is found in its state; one that is not there, or that the filter leaves out, is none")
    func tasks() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        _ = try redis.send("SADD", "asynq:queues", "q", "hidden")
        for queue in ["q", "hidden"] {
            _ = try redis.send("HSET", "asynq:{\(queue)}:t:i", "msg", Self.message("no route"), "state", "retry")
            _ = try redis.send("ZADD", "asynq:{\(queue)}:retry", "1800000000", "i")
        }
        let monitor = try Self.monitor(server, exclude: "^hidden")
        defer { Self.stop(monitor) }
        let task = try #require(try Self.find("i", monitor))
        #expect(task.state == ForeignText("retry") && task.nextRunAt == WallTime(seconds: 1_800_000_000))
        #expect(task.message?.maxRetry == 5 && task.message?.lastError == ForeignText("no route"))
        #expect(try Self.find("j", monitor) == nil)
        #expect(try Self.find("i", queue: "hidden", monitor) == nil)
        let retries = Reply<[DueRetry]>()
        monitor.dueRetries(of: QueueName("q")) { retries.take($0) }
        #expect(try retries.wait().map(\.id) == [ForeignText("i")])
    }

    @Test("A running task has its worker and its deadline; the server lists what it runs")
    func running() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        let now = Clock.system.wall().wholeSeconds
        let key = "asynq:servers:{h:7:s}"
        var info = WireWriter()
        info.string(ServerInfoField.host.rawValue, "h")
        info.int(ServerInfoField.pid.rawValue, 7)
        info.string(ServerInfoField.serverID.rawValue, "s")
        info.message(ServerInfoField.queues.rawValue) { $0.string(MapEntryField.key.rawValue, "q") }
        info.int(ServerInfoField.activeWorkers.rawValue, 1)
        var worker = WireWriter()
        worker.string(WorkerInfoField.taskType.rawValue, "mail")
        worker.string(WorkerInfoField.queue.rawValue, "q")
        worker.message(WorkerInfoField.startTime.rawValue) { $0.int(TimestampField.seconds.rawValue, now - 60) }
        worker.message(WorkerInfoField.deadline.rawValue) { $0.int(TimestampField.seconds.rawValue, now + 60) }
        _ = try redis.send("ZADD", "asynq:servers", String(now + 100), key)
        for (key, fields) in [
            (Array("asynq:workers:{h:7:s}".utf8), [Array("i".utf8), worker.bytes]),
            (
                Array("asynq:{q}:t:i".utf8),
                [Array("msg".utf8), Array(Self.message().utf8), Array("state".utf8), Array("active".utf8)]
            ),
        ] {
            var pipeline = RedisPipeline()
            pipeline.add("HSET", list: [key] + fields)
            pipeline.add("SET", list: [Array("asynq:servers:{h:7:s}".utf8), info.bytes])
            _ = try redis.roundTrip(pipeline, deadline: .soon)
        }
        _ = try redis.send("LPUSH", "asynq:{q}:active", "i")
        _ = try redis.send("ZADD", "asynq:{q}:lease", String(now + 30), "i")
        let monitor = try Self.monitor(server)
        defer { Self.stop(monitor) }
        try #require(eventually { monitor.current.snapshot?.servers?.first?.running.isEmpty == false })
        let listed = try #require(monitor.current.snapshot?.servers?.first?.running.first)
        #expect(listed.queue == QueueName("q") && listed.id == ForeignText("i") && listed.type == TaskType("mail"))
        let task = try #require(try Self.find("i", monitor))
        #expect(
            task.worker?.host == ForeignText("h") && task.worker?.pid == 7 && task.worker?.serverID == ForeignText("s"))
        #expect(task.worker?.startedAt == WallTime(seconds: now - 60) && task.deadlineAt == WallTime(seconds: now + 60))
        #expect(task.leaseExpiresAt == WallTime(seconds: now + 30))
    }

    @Test("A task is looked for in all queues that the filter accepts, twice a second at most")
    func search() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        let names = (0..<2500).map { "q\($0)" }
        _ = try redis.send("SADD", "asynq:queues", "hidden", names.joined(separator: " "))
        for name in names { _ = try redis.send("SADD", "asynq:queues", name) }
        for queue in ["q7", "q2499", "hidden"] {
            _ = try redis.send("HSET", "asynq:{\(queue)}:t:i", "msg", "x", "state", "pending")
        }
        let monitor = try Self.monitor(server, exclude: "^hidden| ")
        defer { Self.stop(monitor) }
        func search(_ id: String) throws -> TaskSearch {
            let reply = Reply<TaskSearch>()
            monitor.searchTask(id: Array(id.utf8)) { reply.take($0) }
            return try reply.wait()
        }
        let found = try search("i")
        #expect(Set(found.found.map(\.text)) == ["q7", "q2499"] && found.lookedAt == 2500 && found.queues == 2500)
        // A second of its own, so that the two are the limit of one.
        try #require(eventually { Clock.system.monotonic().nanoseconds % 1_000_000_000 < 200_000_000 })
        let replies = (0..<3).map { _ in Reply<TaskSearch>() }
        for reply in replies { monitor.searchTask(id: Array("j".utf8)) { reply.take($0) } }
        #expect(try replies[1].wait().found == [])
        #expect(throws: RedisError.self) { try replies[2].wait() }
    }

    @Test("What Redis refuses is the reason; after the end each question is refused")
    func refused() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        _ = try redis.send("SADD", "asynq:queues", "q")
        let monitor = try Self.monitor(server)
        #expect(try Self.find("i", monitor) == nil)
        _ = try redis.send("ACL", "SETUSER", "default", "-hstrlen")
        #expect(throws: RedisError.self) { try Self.find("i", monitor) }
        _ = try redis.send("ACL", "SETUSER", "default", "+hstrlen")
        #expect(try Self.find("i", monitor) == nil)
        Self.stop(monitor)
        #expect(throws: RedisError.self) { try Self.find("i", monitor) }
    }
}
