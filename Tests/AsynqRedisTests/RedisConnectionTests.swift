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
        // Who waits for the elements waits until the deadline, and that is a timeout.
        #expect(Self.failure(try ScriptedServer(["+OK\r\n", text])) == .limit)
    }

    @Test("A list of queues that is no list is a protocol error; an error reply has its own reason")
    func wrongReply() throws {
        // The queues, two indexes, four sections of INFO and the time are asked for at once.
        func failure(_ reply: String) throws -> ScrapeErrorReason? {
            Self.failure(try ScriptedServer(["+OK\r\n", String(repeating: reply + "\r\n", count: 8)]))
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
}
