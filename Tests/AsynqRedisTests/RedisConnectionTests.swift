import Model
import Platform
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Redis

@Suite("A far side that misbehaves")
struct RedisConnectionTests {
    /// The reason why connecting or the scrape behind it failed.
    private static func failure(_ endpoint: RedisEndpoint, deadline: MonotonicTime = .soon) -> ScrapeErrorReason? {
        do throws(RedisError) {
            let connection = try RedisConnection(endpoint, clock: .system, deadline: deadline)
            var scraper = QueueScraper(filter: .all, clock: .system)
            _ = try scraper.scrape(connection, deadline: deadline)
            return nil
        } catch {
            return error.reason
        }
    }

    private static func failure(_ server: ScriptedServer, deadline: MonotonicTime = .soon) -> ScrapeErrorReason? {
        withExtendedLifetime(server) { failure(server.endpoint, deadline: deadline) }
    }

    @Test("A server that accepts and never answers costs the deadline, and is a timeout")
    func hung() throws {
        #expect(Self.failure(try ScriptedServer(), deadline: .shortly) == .timeout)
        #expect(Self.failure(try ScriptedServer([]), deadline: .shortly) == .timeout)
    }

    @Test("So is one that hangs after the login, or drips half a reply")
    func hungLater() throws {
        #expect(Self.failure(try ScriptedServer(["+OK\r\n"]), deadline: .shortly) == .timeout)
        #expect(Self.failure(try ScriptedServer(["+OK\r\n", "*2\r\n$5\r\nab"]), deadline: .shortly) == .timeout)
    }

    @Test("A deadline that has passed is a timeout at once")
    func passedDeadline() throws {
        let server = try ScriptedServer()
        #expect(Self.failure(server, deadline: MonotonicTime(nanoseconds: 0)) == .timeout)
    }

    @Test(
        "Garbage is a protocol error",
        arguments: [
            "HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n\r\n", "*-5\r\n", "$-7\r\n\r\n", ":12x\r\n",
            "*99999999999999999999\r\n",
        ])
    func garbage(text: String) throws {
        #expect(Self.failure(try ScriptedServer([text])) == .protocolError)
    }

    @Test(
        "A connection closed in mid-reply is a connection error",
        arguments: [
            [], ["+O"], ["+OK\r\n"], ["+OK\r\n", "*3\r\n$5\r\nab"],
        ])
    func closed(script: [String]) throws {
        #expect(Self.failure(try ScriptedServer(script, closesAtEnd: true)) == .connection)
    }

    @Test(
        "An array of a thousand million elements is refused at its header, and costs no time",
        arguments: [
            "*1000000000\r\n", "*2\r\n*2000000000\r\n", "*4000000\r\n*4000000\r\n",
        ])
    func hugeArray(text: String) throws {
        let start = Clock.system.monotonic()
        let deadline = start.advanced(byNanoseconds: 1_000_000_000)
        #expect(Self.failure(try ScriptedServer(["+OK\r\n", text]), deadline: deadline) == .limit)
        #expect(Clock.system.monotonic().seconds(since: start) < 0.9)
    }

    @Test("A list of queues that is no list is a protocol error; an error reply has its own reason")
    func wrongReply() throws {
        // The queues, two indexes and three sections of INFO are asked for at once.
        func failure(_ reply: String) throws -> ScrapeErrorReason? {
            Self.failure(try ScriptedServer(["+OK\r\n", String(repeating: reply + "\r\n", count: 6)]))
        }
        #expect(try failure(":5") == .protocolError)
        #expect(try failure("-LOADING Redis is loading") == .loading)
        #expect(try failure("-NOAUTH no") == .authentication)
    }

    @Test("A socket that is not there, or a path that is too long, is a connection error")
    func absent() {
        #expect(Self.failure(RedisEndpoint(address: .unix(path: "/tmp/no-such-socket"))) == .connection)
        let long = "/tmp/" + String(repeating: "x", count: 110)
        #expect(Self.failure(RedisEndpoint(address: .unix(path: long))) == .connection)
        #expect(Self.failure(RedisEndpoint(address: .tcp(host: "127.0.0.1", port: 1))) == .connection)
    }

    @Test("Every kind of reply is read for what it is")
    func kinds() throws {
        let server = try ScriptedServer([
            "+OK\r\n", ":-5\r\n$-1\r\n*-1\r\n*0\r\n-ERR no\r\n$4\r\na\r\n\0\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
        ])
        let connection = try RedisConnection(server.endpoint, clock: .system, deadline: .soon)
        var pipeline = RedisPipeline()
        for _ in 0..<7 { pipeline.add("PING") }
        let replies = try withExtendedLifetime(server) { try connection.roundTrip(pipeline, deadline: .soon) }
        #expect(
            replies == [
                .integer(-5), .null, .null, .array([]), .error("ERR no"), .string([0x61, 13, 10, 0]),
                .array([.array([.integer(1)]), .string([])]),
            ])
    }

    @Test("Somebody who stops the collector ends a call that hangs")
    func interrupted() throws {
        let server = try ScriptedServer()
        let waker = try Waker()
        waker.wake()
        do {
            try withExtendedLifetime(server) {
                _ = try RedisConnection(server.endpoint, clock: .system, deadline: .soon, interrupt: waker)
            }
            Issue.record("connected")
        } catch {
            #expect((error as? RedisError)?.reason == .connection)
        }
    }

    @Test("Requests and replies larger than any socket buffer pass")
    func large() throws {
        let server = try RedisTestServer()
        let connection = try server.connect()
        let value = [UInt8](repeating: 0xAB, count: 3_000_000)
        var pipeline = RedisPipeline()
        for _ in 0..<3 { pipeline.add("ECHO", value) }
        #expect(try connection.roundTrip(pipeline, deadline: .soon) == Array(repeating: .string(value), count: 3))
    }

    @Test("Password and database are used; what Redis refuses is named")
    func login() throws {
        let server = try RedisTestServer(["--requirepass", "p@ss w"])
        var endpoint = server.endpoint
        #expect(Self.failure(endpoint) == .authentication)
        endpoint.password = "wrong"
        #expect(Self.failure(endpoint) == .authentication)
        endpoint.username = "default"
        #expect(Self.failure(endpoint) == .authentication)
        endpoint.password = "p@ss w"
        #expect(Self.failure(endpoint) == nil)
        endpoint.username = nil
        endpoint.database = 3
        let connection = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        #expect(try connection.send("SADD", "asynq:queues", "only in 3") == .integer(1))
        endpoint.database = 99
        #expect(Self.failure(endpoint) == .server)
        endpoint.database = 0
        let other = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        #expect(try other.send("SMEMBERS", "asynq:queues") == .array([]))
    }
}
