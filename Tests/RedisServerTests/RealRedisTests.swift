import Glibc
import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Redis

@Suite("Scraping a real Redis")
struct RealRedisTests {
    private static let now = WallTime(nanoseconds: 1_700_000_000_000_000_000)
    private static let clock = TestClock(now).clock

    @Test("Keys as Asynq writes them give the numbers that they hold")
    func handWritten() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        _ = try redis.send("SADD", "asynq:queues", "default", "leer", "a b\"c\n")
        _ = try redis.send("LPUSH", "asynq:{default}:pending", "t1", "t2", "t3")
        _ = try redis.send(
            "HSET", "asynq:{default}:t:t1", "msg", "x", "state", "pending", "pending_since", "1699999997500000000")
        _ = try redis.send("HSET", "asynq:{default}:t:t3", "pending_since", "1")
        _ = try redis.send("LPUSH", "asynq:{default}:active", "t4")
        for state in ["scheduled", "retry", "archived", "completed"] {
            _ = try redis.send("ZADD", "asynq:{default}:" + "\(state)", "1", "x", "2", "y")
        }
        _ = try redis.send("SADD", "asynq:{default}:groups", "g1", "g2")
        _ = try redis.send("ZADD", "asynq:{default}:g:g1", "1", "x", "2", "y")
        _ = try redis.send("ZADD", "asynq:{default}:g:g2", "1", "z")
        _ = try redis.send("SET", "asynq:{default}:processed", "100")
        _ = try redis.send("SET", "asynq:{default}:failed", "7")
        _ = try redis.send("SET", "asynq:{default}:paused", "1700000000")
        _ = try redis.send("LPUSH", "asynq:{a b\"c\n}:pending", "only")
        var scraper = QueueScraper(filter: .all, clock: Self.clock)
        let snapshot = try scraper.scrape(redis, deadline: .soon)
        #expect(snapshot.takenAt == Self.now && snapshot.partialErrors.isEmpty)
        #expect(snapshot.queues.map(\.name.text) == ["a b\"c\n", "default", "leer"])
        var expected = QueueSnapshot(name: QueueName("default"))
        expected.size = [
            .pending: 3, .active: 1, .scheduled: 2, .retry: 2, .archived: 2, .completed: 2, .aggregating: 3,
        ]
        (expected.groups, expected.latencyNanoseconds, expected.isPaused) = (2, 2_500_000_000, true)
        expected.pausedAt = Self.now
        (expected.processed, expected.failed, expected.completed) = (100, 7, 93)
        (expected.orphaned, expected.overdue, expected.deadLettered) = (0, [.scheduled: 2, .retry: 2], 0)
        expected.isRegistered = true
        #expect(snapshot.queues[1] == expected)
        #expect(snapshot.queues[0].size[.pending] == 1 && snapshot.queues[0].latencyNanoseconds == 0)
        var empty = QueueSnapshot(name: QueueName("leer"))
        for state in TaskState.allCases { empty.size[state] = 0 }
        (empty.groups, empty.latencyNanoseconds, empty.isPaused, empty.processed, empty.failed) = (0, 0, false, 0, 0)
        (empty.completed, empty.isRegistered) = (0, true)
        (empty.orphaned, empty.overdue, empty.deadLettered) = (0, [.scheduled: 0, .retry: 0], 0)
        #expect(snapshot.queues[2] == empty)
        #expect(snapshot.servers == [] && snapshot.schedulerEntries == [])
        #expect((snapshot.info.usedMemoryBytes ?? 0) > 0 && snapshot.info.maxMemoryBytes == 0)
        // One more dies, and one that died before the start is deleted by hand.
        _ = try redis.send("ZADD", "asynq:{default}:archived", "1700000000", "z")
        _ = try redis.send("ZREM", "asynq:{default}:archived", "x")
        #expect(try scraper.scrape(redis, deadline: .soon).queues[1].deadLettered == 1)
    }

    @Test("Queue names of any bytes come back as they are")
    func binaryNames() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        let names: [[UInt8]] = [
            [0xFF, 0xFE], [0], Array("ein}e:t:x".utf8), [13, 10], Array("é".utf8), Array("e\u{301}".utf8),
        ]
        var pipeline = RedisPipeline()
        pipeline.add("SADD", list: [AsynqKeys.queues] + names)
        for name in names { pipeline.add("LPUSH", AsynqKeys.queue(QueueName(name), "pending"), [1]) }
        _ = try redis.roundTrip(pipeline, deadline: .soon)
        var scraper = QueueScraper(filter: .all, clock: .system)
        let queues = try scraper.scrape(redis, deadline: .soon).queues
        #expect(Set(queues.map(\.name.bytes)) == Set(names))
        #expect(queues.allSatisfy { $0.size[.pending] == 1 })
    }

    @Test("Wrong types and a user without permissions cost what they hit, and no more")
    func partialFailures() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        _ = try redis.send("SADD", "asynq:queues", "bad", "good")
        _ = try redis.send("SET", "asynq:{bad}:pending", "no list")
        _ = try redis.send("LPUSH", "asynq:{bad}:processed", "no counter")
        _ = try redis.send("SET", "asynq:{bad}:failed", "abc")
        _ = try redis.send("LPUSH", "asynq:{good}:pending", "t")
        var scraper = QueueScraper(filter: .all, clock: .system)
        let snapshot = try scraper.scrape(redis, deadline: .soon)
        #expect(snapshot.partialErrors.sorted { $0.rawValue < $1.rawValue } == [.malformed, .wrongType, .wrongType])
        #expect(snapshot.queues[0].size[.pending] == nil && snapshot.queues[0].size[.active] == 0)
        #expect(snapshot.queues[1].size[.pending] == 1)

        _ = try redis.send(
            "ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-zcard", "-lrange", "-client", "-info")
        var endpoint = server.endpoint
        (endpoint.username, endpoint.password) = ("blind", "pw")
        let blind = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        let seen = try scraper.scrape(blind, deadline: .soon)
        #expect(seen.queues[1].size[.pending] == 1 && seen.queues[1].size[.retry] == nil)
        #expect(seen.queues[1].latencyNanoseconds == nil && seen.queues[1].processed == 0)
        #expect(seen.info == RedisInfo(), "INFO is optional: its values are absent, and nothing is wrong")
        // Each ZCARD of the two queues, and LRANGE where LLEN worked.
        let forbidden = 2 * (try ScrapeCommand.ofEachQueue().count { $0.name == "ZCARD" }) + 1
        #expect(seen.partialErrors.filter { $0 == .permission }.count == forbidden)
        _ = try redis.send("ACL", "SETUSER", "blind", "-smembers")
        #expect(throws: RedisError.self) { try scraper.scrape(blind, deadline: .soon) }
    }

    /// Answers as a Redis would that counts failures between the two commands that read the counters.
    private final class CountingClient: RedisClient {
        var processed: Int64 = 0
        var failed: Int64 = 0

        func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
            (0..<pipeline.count).map { index in
                let command = String(decoding: pipeline.bytes(of: index), as: UTF8.self)
                if command.contains("asynq:queues") { return .array([.string(Array("q".utf8))]) }
                if command.contains(":processed\r\n") { return .string(Array(String(processed).utf8)) }
                if command.contains(":failed\r\n") { return .string(Array(String(failed).utf8)) }
                return command.contains("CARD") || command.contains("COUNT") ? .integer(0) : .array([])
            }
        }
    }

    /// Fails as a connection does that gets the names of a million groups.
    private final class LimitingClient: RedisClient {
        private(set) var asked: [Bool] = []

        func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
            let commands = (0..<pipeline.count).map { String(decoding: pipeline.bytes(of: $0), as: UTF8.self) }
            let isForNames = commands.contains { $0.contains("SMEMBERS") && $0.contains(":groups") }
            if commands.contains(where: { $0.contains(":groups") }) { asked.append(isForNames) }
            if isForNames { throw RedisError(.limit, "too large") }
            return commands.map { command in
                if command.contains("asynq:queues") { return .array([.string(Array("q".utf8))]) }
                if command.contains("SCARD") { return .integer(2_000_000) }
                return command.contains("CARD") || command.contains("COUNT") ? .integer(0) : .array([])
            }
        }
    }

    @Test("A queue with more groups than a reply may name fails one scrape, not all")
    func tooManyGroups() throws {
        let client = LimitingClient()
        var scraper = QueueScraper(filter: .all, clock: .system)
        #expect(throws: RedisError.self) { try scraper.scrape(client, deadline: .soon) }
        for _ in 0..<2 {
            let snapshot = try scraper.scrape(client, deadline: .soon)
            #expect(snapshot.queues[0].groups == 2_000_000 && snapshot.queues[0].size[.aggregating] == nil)
            #expect(snapshot.partialErrors.contains(.limit))
        }
        #expect(client.asked == [true, false, false])
    }

    @Test("Completed tasks never fall while tasks are processed, though the counters are read one after the other")
    func completed() throws {
        let client = CountingClient()
        var scraper = QueueScraper(filter: .all, clock: .system)
        func completed(_ processed: Int64, _ failed: Int64) throws -> Int64? {
            (client.processed, client.failed) = (processed, failed)
            return try scraper.scrape(client, deadline: .soon).queues[0].completed
        }
        #expect(try completed(100, 10) == 90)
        #expect(try completed(100, 12) == 90, "two failures between the readings")
        #expect(try completed(105, 14) == 91)
        #expect(try completed(3, 5) == 0, "the counters begin again")
        #expect(try completed(9, 5) == 4)
    }

    @Test("300 queues take three round trips, and no command that writes, scans or runs scripts")
    func roundTrips() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        var pipeline = RedisPipeline()
        for index in 0..<300 {
            let name = QueueName("queue \(index)")
            pipeline.add("SADD", AsynqKeys.queues, name.bytes)
            pipeline.add("LPUSH", AsynqKeys.queue(name, "pending"), Array("t".utf8))
            pipeline.add(
                "HSET", AsynqKeys.task(name, id: Array("t".utf8)), Array("pending_since".utf8), Array("5".utf8))
        }
        _ = try redis.roundTrip(pipeline, deadline: .soon)
        _ = try redis.send("CONFIG", "RESETSTAT")
        let proxy = try CountingProxy(to: server.socket)
        let connection = try RedisConnection(
            RedisEndpoint(address: .unix(path: proxy.socket)), clock: .system, deadline: .soon)
        let before = proxy.rounds
        var scraper = QueueScraper(filter: .all, clock: .system)
        #expect(try scraper.scrape(connection, deadline: .soon).queues.count == 300)
        #expect(proxy.rounds - before <= 3)
        // There is no server, and no queue rests.
        let documented = try ScrapeCommand.documented().filter {
            ["scrape", "node", "queue", "next task"].contains($0.each)
        }
        let allowed = Set(documented.map { $0.name.lowercased() } + ["client|setname", "config|resetstat"])
        let statistics = try redis.send("INFO", "commandstats").bytes ?? []
        var calls = 0
        for line in String(decoding: statistics, as: UTF8.self).split(whereSeparator: \.isNewline) {
            guard line.hasPrefix("cmdstat_") else { continue }
            let name = line.dropFirst(8).prefix { $0 != ":" }
            #expect(allowed.contains(String(name)), "\(name)")
            calls += Int(line.drop { $0 != "=" }.dropFirst().prefix { $0 != "," }) ?? 0
        }
        let once = try ScrapeCommand.documented().count { $0.roundTrip == 1 }
        // And SMEMBERS of the groups, the first look at the archive, HMGET of the one task and LINDEX behind it.
        let ofEachQueue = try ScrapeCommand.ofEachQueue().count + 4
        // And what this test sends, and the connection's name.
        #expect(calls <= once + 300 * ofEachQueue + 2)
    }
}

/// Stands between client and server and passes a client's bytes on only once it is quiet: each passing is a round trip.
final class CountingProxy {
    private let directory: SocketDirectory
    private let listener: Int32
    private let thread: OSThread
    private let counter = Counter()
    let socket: String

    private final class Counter: Sendable {
        let rounds = Atomic<Int>(0)
    }

    var rounds: Int { counter.rounds.load(ordering: .acquiring) }

    init(to server: String) throws {
        directory = try SocketDirectory()
        socket = directory.path + "/proxy.sock"
        listener = try UnixSocket.listen(socket)
        let upstream = try UnixSocket.connect(server)
        let (listener, counter) = (listener, counter)
        thread = try OSThread(name: "proxy") {
            let client = accept(listener, nil, nil)
            Self.relay(client, upstream, counter.rounds)
            close(client)
            close(upstream)
        }
    }

    private static func relay(_ client: Int32, _ upstream: Int32, _ rounds: borrowing Atomic<Int>) {
        var waiting: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var entries = [client, upstream].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if poll(&entries, 2, 250) == 0 && !waiting.isEmpty {
                rounds.add(1, ordering: .acquiringAndReleasing)
                sendAll(upstream, waiting)
                waiting = []
            }
            if entries[0].revents != 0 {
                let count = recv(client, &buffer, buffer.count, 0)
                if count <= 0 { return }
                waiting += buffer[..<count]
            }
            if entries[1].revents != 0 {
                let count = recv(upstream, &buffer, buffer.count, 0)
                if count <= 0 { return }
                sendAll(client, Array(buffer[..<count]))
            }
        }
    }

    private static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }
}
