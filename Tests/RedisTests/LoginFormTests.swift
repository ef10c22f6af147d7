import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite("What the login sends")
struct LoginFormTests {
    private static let logins: [(url: String, sent: [[String]])] = [
        ("redis://HOST", []), ("redis://:@HOST", []), ("redis://:secret@HOST", [["AUTH", "secret"]]),
        ("redis://user:secret@HOST/2", [["AUTH", "user", "secret"], ["SELECT", "2"]]),
        ("redis://user@HOST", [["AUTH", "user", ""]]), ("redis://user:@HOST", [["AUTH", "user", ""]]),
        ("redis://default:@HOST/0", [["AUTH", "default", ""]]),
    ]

    @Test("A user without a password has an empty one; an empty password alone is none", arguments: logins.indices)
    func forms(index: Int) throws {
        let server = try FakeRedis { _, _ in .ok }
        let url = Self.logins[index].url.replacing("HOST", with: "127.0.0.1:\(server.port)")
        let client = try RedisURL.parse(url).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        #expect(server.commands == Self.logins[index].sent, "\(url)")
    }

    @Test("What a sentinel refuses names the settings of sentinels", arguments: [false, true])
    func sentinel(isWrong: Bool) throws {
        let words = isWrong ? "-WRONGPASS invalid username-password pair" : "-NOAUTH Authentication required."
        let server = try FakeRedis { _, _ in .send(words + "\r\n") }
        let sentinels = RedisSentinels(
            addresses: [server.address], master: "m", username: "scout", password: isWrong ? "wrong" : nil)
        let client = RedisTarget(RedisEndpoint(address: server.address), sentinels: sentinels).makeClient(
            clock: .system)
        let refused = try #require(failure { try client.prepare(deadline: .soon) })
        #expect(refused.reason == .authentication)
        #expect(refused.message.contains("redis.sentinel-password"), "\(refused)")
        #expect(refused.message.contains("redis.sentinel-username") && !refused.message.contains("redis.password"))
        #expect(server.commands.first == ["AUTH", "scout", isWrong ? "wrong" : ""])
    }

    @Test("A database that is not there is told with its setting")
    func database() throws {
        let server = try FakeRedis { _, _ in .send("-ERR DB index is out of range\r\n") }
        var endpoint = server.endpoint
        endpoint.database = 99
        let refused = failure { _ = try RedisConnection(endpoint, clock: .system, deadline: .soon) }
        #expect(refused?.reason == .server && refused?.message.contains("redis.url names a database") == true)
    }
}

@Suite("A far side that hangs up at a command that may be left out")
struct HangUpTests {
    /// Answers GET, and hangs up at `command`, before or after it has refused it.
    private static func server(hangingUpAt command: String, words: String?) throws -> FakeRedis {
        try FakeRedis(answersLogin: false) { _, sent in
            if sent[0] == command { return words.map { FakeAnswer.sendAndClose($0) } ?? .close }
            return .send("+\(sent[0])\r\n")
        }
    }

    @Test("At CLIENT: it logs in again without it", arguments: [nil, "-ERR not allowed here\r\n"])
    func client(words: String?) throws {
        let server = try Self.server(hangingUpAt: "CLIENT", words: words)
        let client = RedisTarget(server.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("GET", "k") == .string(Array("GET".utf8)))
        #expect(server.connections == 2)
    }

    @Test(
        "At INFO or TIME: the rest is asked again without both, and both are left out until the connection is renewed",
        arguments: ["INFO", "TIME"])
    func info(command: String) throws {
        let server = try Self.server(hangingUpAt: command, words: nil)
        let clock = TestClock()
        let client = RedisTarget(server.endpoint).makeClient(clock: clock.clock)
        func ask() throws -> [RedisReply] {
            var pipeline = RedisPipeline()
            pipeline.add("GET", [1])
            _ = pipeline.info("memory")
            _ = pipeline.time()
            pipeline.add("LLEN", [1])
            let deadline = clock.clock.monotonic().advanced(by: .seconds(30))
            try client.prepare(deadline: deadline)
            return try client.roundTrip(pipeline, deadline: deadline)
        }
        for _ in 0..<2 {
            let replies = try ask()
            #expect(replies[0] == .string(Array("GET".utf8)) && replies[3] == .string(Array("LLEN".utf8)))
            for reply in replies[1...2] {
                #expect(reply.elements?.first?.errorText?.hasPrefix("ERR not asked") == true)
            }
        }
        #expect(server.connections == 2 && server.commands.count { $0[0] == command } == 1)
        clock.advance(seconds: 120)
        _ = try ask()
        #expect(server.commands.count { $0[0] == command } == 2)
    }

    @Test("A command that must not be left out is asked once, as before")
    func required() throws {
        let server = try Self.server(hangingUpAt: "GET", words: nil)
        let client = RedisTarget(server.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        var pipeline = RedisPipeline()
        pipeline.add("LLEN", [1])
        pipeline.add("GET", [1])
        _ = pipeline.info("memory")
        #expect(failure { _ = try client.roundTrip(pipeline, deadline: .soon) }?.reason == .connection)
        #expect(server.connections == 1)
    }
}

@Suite("The greatest age of a connection")
struct ConnectionAgeTests {
    @Test("A connection is made anew once it has reached it, and not before; user and password are those of now")
    func renewal() throws {
        let server = try FakeRedis { _, _ in .ok }
        let clock = TestClock()
        let password = SharedText("first")
        let start = RedisTarget(server.endpoint)
        var target = start
        target.reread = {
            var now = start
            now.endpoint.password = password.text
            return now
        }
        let client = target.makeClient(clock: clock.clock)
        func prepare(afterSeconds seconds: Int64) throws {
            clock.advance(seconds: seconds)
            try client.prepare(deadline: clock.clock.monotonic().advanced(by: .seconds(30)))
        }
        try prepare(afterSeconds: 0)
        password.text = "second"
        try prepare(afterSeconds: 119)
        #expect(server.connections == 1)
        try prepare(afterSeconds: 1)
        #expect(server.connections == 2 && client.isConnected)
        #expect(server.commands == [["AUTH", "first"], ["AUTH", "second"]])
    }
}

@Suite("A connection that has reached its greatest age while no other can be made")
struct FailedRenewalTests {
    private static let full = FakeAnswer.sendAndClose("-ERR max number of clients reached\r\n")

    @Test("It serves on, each scrape tells why, and the next try is ten seconds later")
    func single() throws {
        let isFull = Flag()
        let server = try FakeRedis(answersLogin: false) { number, _ in number > 0 && isFull.isSet ? Self.full : .ok }
        let clock = TestClock()
        let client = RedisTarget(server.endpoint).makeClient(clock: clock.clock)
        func errorsOfScrape(afterSeconds seconds: Int64) throws -> [String] {
            clock.advance(seconds: seconds)
            try client.prepare(deadline: clock.clock.monotonic().advanced(by: .seconds(30)))
            _ = try client.ask("GET", "k", deadline: clock.clock.monotonic().advanced(by: .seconds(30)))
            return client.takeNodeErrors().map(\.message)
        }
        #expect(try errorsOfScrape(afterSeconds: 0).isEmpty)
        isFull.set(true)
        for _ in 0..<2 {
            let errors = try errorsOfScrape(afterSeconds: 120)
            #expect(errors.count == 1 && errors[0].contains("max number of clients"), "\(errors)")
        }
        let tried = server.connections
        #expect(try errorsOfScrape(afterSeconds: 9).count == 1)
        #expect(server.connections == tried, "no try before its time")
        isFull.set(false)
        #expect(try errorsOfScrape(afterSeconds: 1).isEmpty)
        #expect(server.connections == tried + 1)
        #expect(server.commands.last == ["GET", "k"])
    }

    @Test("Sentinels that are down while the master is up take nothing away")
    func sentinels() throws {
        let isDown = Flag()
        let master = try FakeRedis { _, words in
            .send(words[0] == "ROLE" ? "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" : "+PONG\r\n")
        }
        let port = String(master.port)
        let sentinel = try FakeRedis { _, _ in
            isDown.isSet ? .close : .send("*2\r\n$9\r\n127.0.0.1\r\n$\(port.utf8.count)\r\n\(port)\r\n")
        }
        let clock = TestClock()
        let client = RedisTarget(
            master.endpoint, sentinels: RedisSentinels(addresses: [sentinel.address], master: "m")
        ).makeClient(clock: clock.clock)
        for (seconds, errors) in [(Int64(0), 0), (121, 1), (5, 1), (600, 1)] {
            isDown.set(seconds > 0)
            clock.advance(seconds: seconds)
            try client.prepare(deadline: clock.clock.monotonic().advanced(by: .seconds(30)))
            #expect(client.isConnected && client.takeNodeErrors().count == errors)
        }
        #expect(master.connections == 1)
    }
}

/// What a test switches.
private final class Flag: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock { $0 } }
    func set(_ isSet: Bool) { value.withLock { $0 = isSet } }
}

/// A text that a test changes.
private final class SharedText: Sendable {
    private let value: Mutex<String>

    init(_ text: String) {
        value = Mutex(text)
    }

    var text: String {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
