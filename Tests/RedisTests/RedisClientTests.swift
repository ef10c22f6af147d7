import Glibc
import Model
import Platform
import TestSupport
import Testing

@testable import Redis

extension RedisClient {
    func ask(_ command: StaticString, _ arguments: String..., deadline: MonotonicTime = .soon) throws -> RedisReply {
        var pipeline = RedisPipeline()
        pipeline.add(command, list: arguments.map { Array($0.utf8) })
        return try roundTrip(pipeline, deadline: deadline)[0]
    }
}

@Suite("A connection that lay idle and was closed")
struct IdleConnectionTests {
    private static let pong = RedisReply.string(Array("PONG".utf8))

    private static func client(_ server: FakeRedis) throws -> any RedisClient {
        let client = RedisTarget(server.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        return client
    }

    @Test("Where the login refuses the name, a PING shows whether the far side has hung up after that")
    func refusedName() throws {
        func server(_ answer: FakeAnswer) throws -> FakeRedis {
            try FakeRedis(answersLogin: false) { connection, words in
                words[0] == "CLIENT" ? (connection == 0 ? answer : .ok) : .send("+PONG\r\n")
            }
        }
        let refusing = try server(.send("-ERR unknown command 'CLIENT'\r\n"))
        let client = try Self.client(refusing)
        #expect(refusing.commands == [["PING"]] && refusing.connections == 1)
        #expect(try client.ask("ECHO", "x") == Self.pong)
        let friendly = try server(.ok)
        _ = try Self.client(friendly)
        #expect(friendly.commands.isEmpty)
        let full = try server(.send("-ERR max number of clients reached\r\n"))
        #expect(failure { _ = try Self.client(full) } != nil)
        #expect(full.commands.isEmpty)
    }

    @Test("Closed between two round trips, it is made anew within the second")
    func closedWhileIdle() throws {
        let server = try FakeRedis { connection, _ in connection == 0 ? .sendAndClose("+PONG\r\n") : .send("+PONG\r\n")
        }
        let client = try Self.client(server)
        #expect(try client.ask("PING") == Self.pong)
        server.awaitEnd()
        #expect(try client.ask("PING") == Self.pong)
        #expect(server.connections == 2)
    }

    @Test("Closed while a command is on its way, it is made anew and asked once more")
    func closedUnderway() throws {
        let server = try FakeRedis { connection, words in
            connection == 0 && words[0] == "ECHO" ? .close : .send("+PONG\r\n")
        }
        let client = try Self.client(server)
        #expect(try client.ask("PING") == Self.pong)
        #expect(try client.ask("ECHO", "x") == Self.pong)
        #expect(server.connections == 2 && server.commands.count == 3)
    }

    @Test("A server that throws everybody out is asked twice, not for ever")
    func closedAlways() throws {
        let server = try FakeRedis { _, words in words[0] == "ECHO" ? .close : .send("+PONG\r\n") }
        let client = try Self.client(server)
        #expect(try client.ask("PING") == Self.pong)
        #expect(failure { _ = try client.ask("ECHO", "x") }?.reason == .connection)
        #expect(server.connections == 2 && !client.isConnected)
    }

    @Test("A fresh connection, or one that was closed in the midst of a reply, is an error as before")
    func notIdle() throws {
        let fresh = try FakeRedis { _, _ in .close }
        let freshClient = try Self.client(fresh)
        #expect(failure { _ = try freshClient.ask("PING") }?.reason == .connection)
        #expect(fresh.connections == 1)
        let half = try FakeRedis { _, words in words[0] == "ECHO" ? .sendAndClose("$5\r\nab") : .send("+PONG\r\n") }
        let halfClient = try Self.client(half)
        #expect(try halfClient.ask("PING") == Self.pong)
        #expect(failure { _ = try halfClient.ask("ECHO", "x") }?.reason == .connection)
        #expect(half.connections == 1)
    }

    @Test("A second try keeps to the deadline of the first")
    func deadline() throws {
        let server = try FakeRedis { connection, words in
            if connection == 0 { return words[0] == "ECHO" ? .close : .send("+PONG\r\n") }
            return .silence
        }
        let client = try Self.client(server)
        #expect(try client.ask("PING") == Self.pong)
        #expect(failure { _ = try client.ask("ECHO", "x", deadline: .shortly) }?.reason == .timeout)
    }

    @Test("Behind sentinels these are asked again", arguments: [false, true])
    func sentinel(closedWhileIdle: Bool) throws {
        let server = try FakeRedis { connection, words in
            switch words[0] {
            case "SENTINEL": .send("*2\r\n$9\r\n127.0.0.1\r\n$\(words[2].utf8.count)\r\n\(words[2])\r\n")
            case "ROLE": .send("*1\r\n$6\r\nmaster\r\n")
            // 0 is to the sentinel, 1 to the master.
            default: connection == 1 ? .sendAndClose("+PONG\r\n") : .send("+PONG\r\n")
            }
        }
        // The fake's port is the name of the master, so that it can answer with it.
        let target = RedisTarget(
            server.endpoint, sentinels: RedisSentinels(addresses: [server.address], master: String(server.port)))
        let client = target.makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("PING") == Self.pong)
        server.awaitEnd()
        if closedWhileIdle { try client.prepare(deadline: .soon) }
        #expect(try client.ask("PING") == Self.pong)
        #expect(server.commands.count { $0[0] == "SENTINEL" } == 2)
    }
}

@Suite("Replies that nobody asked for")
struct SurplusReplyTests {
    private static func client(_ server: FakeRedis) throws -> any RedisClient {
        let client = RedisTarget(server.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        return client
    }

    @Test(
        "A reply too many, or the beginning of one, is a protocol error and shifts nothing",
        arguments: [
            "+ONE\r\n+TWO\r\n", "+ONE\r\n+TW", "+ONE\r\n+", "+ONE\r\n*2\r\n", "+ONE\r\n*2\r\n:1\r\n", "+ONE\r\n\r\n",
        ])
    func atOnce(answer: String) throws {
        let server = try FakeRedis { connection, words in .send(connection == 0 ? answer : "+\(words[1])\r\n") }
        let client = try Self.client(server)
        #expect(failure { _ = try client.ask("ECHO", "one") }?.reason == .protocolError)
        #expect(!client.isConnected)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("ECHO", "two") == .string(Array("two".utf8)))
    }

    @Test("One that comes between two round trips is a protocol error as well")
    func later() throws {
        let server = try FakeRedis { _, words in .send("+\(words[1])\r\n") }
        let client = try Self.client(server)
        #expect(try client.ask("ECHO", "one") == .string(Array("one".utf8)))
        server.push("+late\r\n")
        #expect(failure { _ = try client.ask("ECHO", "two") }?.reason == .protocolError)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("ECHO", "three") == .string(Array("three".utf8)))
    }
}

@Suite("A Redis that turns a client away")
struct RefusalTests {
    @Test("An error that comes before the login is its failure, closed at once or a little later", arguments: [0, 1])
    func unsolicited(kind: Int) throws {
        let words = "-DENIED Redis is running in protected mode\r\n"
        let server = try FakeRedis(greeting: kind == 0 ? .sendAndClose(words) : .send(words)) { _, _ in .close }
        var endpoint = server.endpoint
        endpoint.password = "so that the login is longer than one reply"
        let refused = failure { _ = try RedisConnection(endpoint, clock: .system, deadline: .soon) }
        #expect(refused?.reason == .server && refused?.message.contains("protected mode") == true, "\(refused as Any)")
    }

    @Test(
        "An error reply of SETNAME is the login's failure, unless it is SETNAME alone that is not to be had",
        arguments: [
            ("-ERR max number of clients reached", ScrapeErrorReason.server),
            ("-NOAUTH Authentication required.", .authentication),
            ("-ERR max number of clients reached", .server),
            ("-NOPERM this user has no permissions to run 'client|setname'", nil),
            ("-ERR unknown command 'CLIENT', with args beginning with: 'SETNAME'", nil),
            ("-ERR Unknown subcommand or wrong number of arguments for 'SETNAME'", nil),
            ("-unsupported command 'client'", nil),
            ("-ERR command 'CLIENT' is not allowed", nil),
            ("-ERR not support for normal user", nil),
            ("-ERR This command is disabled", nil),
            ("-ERR invalid request", nil),
            ("-ERR Syntax error, try CLIENT (LIST | KILL ip:port)", nil),
            ("-ERR wrong number of arguments for 'client' command", nil),
            ("-FORBIDDEN by policy", nil), ("-ERR operation not permitted", nil),
            ("-LOADING Redis is loading the dataset in memory", .loading),
            ("-DENIED Redis is running in protected mode", .server),
            ("-WRONGPASS invalid username-password pair or user is disabled.", .authentication),
        ])
    func setName(reply: String, reason: ScrapeErrorReason?) throws {
        let server = try ScriptedServer([reply + "\r\n", "+PONG\r\n"])
        let refused = withExtendedLifetime(server) {
            failure { _ = try RedisConnection(server.endpoint, clock: .system, deadline: .soon) }
        }
        #expect(refused?.reason == reason, "\(refused as Any)")
    }
}
