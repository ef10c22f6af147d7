import AsynqRedis
import Glibc
import Model
import Platform
import ProtobufWire
import Redis

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

extension MonotonicTime {
    static var inAMinute: MonotonicTime { Clock.system.monotonic().advanced(by: .seconds(60)) }
}

/// What a data set holds.
struct Scenario {
    let title: String
    let queues: Int
    let pending: Int
    var servers = 2

    static let all = [
        Scenario(title: "100 queues × 10,000 pending", queues: 100, pending: 10_000),
        Scenario(title: "1 queue × 1,000,000 pending", queues: 1, pending: 1_000_000),
        Scenario(title: "1,000 queues × 10 pending", queues: 1000, pending: 10),
        Scenario(title: "10 queues × 100 pending, 50 servers", queues: 10, pending: 100, servers: 50),
    ]
}

/// A redis-server of its own with one scenario's data in it.
final class Stage {
    private let process: ChildProcess
    private let directory: String
    let endpoint: RedisEndpoint
    let connection: RedisConnection

    init(_ scenario: Scenario) throws {
        var template = Array("/tmp/redis-benchmark-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let socket = directory + "/redis.sock"
        process = try ChildProcess(
            "redis-server",
            ["--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "", "--appendonly", "no"])
        for _ in 0..<500 where access(socket, F_OK) != 0 { usleep(10_000) }
        endpoint = RedisEndpoint(address: .unix(path: socket))
        connection = try RedisConnection(endpoint, clock: .system, deadline: .inAMinute)
        try load(scenario)
    }

    deinit {
        process.terminate()
        Files.removeTree(directory)
    }

    private func load(_ scenario: Scenario) throws {
        var pipeline = RedisPipeline()
        func flush(above limit: Int) throws {
            if pipeline.bytes.count <= limit { return }
            _ = try connection.roundTrip(pipeline, deadline: .inAMinute)
            pipeline = RedisPipeline()
        }
        // A payload of a usual size, in a message as Asynq encodes it.
        let since = String(Clock.system.wall().nanoseconds - 5_000_000_000).bytes
        for queue in 0..<scenario.queues {
            let name = QueueName("queue-\(queue)")
            pipeline.add("SADD", AsynqKeys.queues, name.bytes)
            for counter in ["processed", "failed"] {
                pipeline.add("SET", AsynqKeys.queue(name, "") + counter.bytes, "123456".bytes)
            }
            for task in 0..<scenario.pending {
                let id = "0192f0c1-\(queue)-\(task)".bytes
                let message = Self.message(id: id, queue: name)
                pipeline.add(
                    "HSET",
                    list: [AsynqKeys.task(name, id: id)] + ["msg".bytes, message, "state".bytes, "pending".bytes]
                        + ["pending_since".bytes, since])
                pipeline.add("LPUSH", AsynqKeys.queue(name, "pending"), id)
                try flush(above: 1 << 20)
            }
        }
        let expiry = String(Clock.system.wall().wholeSeconds + 3600).bytes
        for server in 0..<scenario.servers {
            let key = "asynq:servers:{host:\(server):id}".bytes
            pipeline.add("ZADD", AsynqKeys.servers, expiry, key)
            pipeline.add("SET", key, Self.serverInfo(server, queues: min(10, scenario.queues)))
        }
        try flush(above: 0)
    }

    private static func message(id: [UInt8], queue: QueueName) -> [UInt8] {
        var writer = WireWriter()
        writer.data(1, "email:deliver".bytes)
        writer.data(2, [UInt8](repeating: UInt8(ascii: "x"), count: 200))
        writer.data(3, id)
        writer.data(4, queue.bytes)
        writer.varint(5, 25)
        writer.varint(8, 1800)
        return writer.bytes
    }

    private static func serverInfo(_ number: Int, queues: Int) -> [UInt8] {
        var writer = WireWriter()
        writer.data(1, "host".bytes)
        writer.varint(2, UInt64(number))
        writer.data(3, "id-\(number)".bytes)
        writer.varint(4, 10)
        for queue in 0..<queues {
            var entry = WireWriter()
            entry.data(1, "queue-\(queue)".bytes)
            entry.varint(2, 1)
            writer.data(5, entry.bytes)
        }
        writer.data(7, "active".bytes)
        return writer.bytes
    }

    /// CPU seconds that Redis has used, and commands it has run, those inside scripts included.
    func redisUse() throws -> (cpuSeconds: Double, commands: Double) {
        var pipeline = RedisPipeline()
        pipeline.add("INFO", "cpu".bytes)
        pipeline.add("INFO", "commandstats".bytes)
        let replies = try connection.roundTrip(pipeline, deadline: .inAMinute).map {
            String(decoding: $0.bytes ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
        }
        var cpu = 0.0
        for line in replies[0] where line.hasPrefix("used_cpu_user:") || line.hasPrefix("used_cpu_sys:") {
            cpu += Double(line.drop { $0 != ":" }.dropFirst()) ?? 0
        }
        var commands = 0.0
        for line in replies[1] {
            commands += Double(line.drop { $0 != "=" }.dropFirst().prefix { $0 != "," }) ?? 0
        }
        return (cpu, commands)
    }
}
