import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite("The master behind sentinels")
struct SentinelTests {
    private static let pong = RedisReply.string(Array("PONG".utf8))
    private static let master = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
    private static let replica = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:5\r\n"

    private static func redis(role: String) throws -> FakeRedis {
        try FakeRedis { _, words in .send(words[0] == "ROLE" ? role : "+PONG\r\n") }
    }

    /// Names that Redis as the master.
    private static func sentinel(_ named: FakeRedis) throws -> FakeRedis {
        let port = String(named.port)
        return try FakeRedis { _, _ in .send("*2\r\n$9\r\n127.0.0.1\r\n$\(port.utf8.count)\r\n\(port)\r\n") }
    }

    private static func client(_ sentinels: FakeRedis...) -> any RedisClient {
        let addresses = sentinels.map(\.address)
        return RedisTarget(
            RedisEndpoint(address: .tcp(host: "placeholder", port: 1)),
            sentinels: RedisSentinels(addresses: addresses, master: "main")
        ).makeClient(clock: .system)
    }

    @Test("A sentinel that names a replica is passed over for one that names the master")
    func replica() throws {
        let (replica, master) = (try Self.redis(role: Self.replica), try Self.redis(role: Self.master))
        let (old, good) = (try Self.sentinel(replica), try Self.sentinel(master))
        let client = Self.client(old, good)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("PING") == Self.pong)
        #expect(replica.commands == [["ROLE"]], "a replica is asked for nothing else")
        #expect(master.commands == [["ROLE"], ["PING"]])
        #expect(old.commands == [["SENTINEL", "get-master-addr-by-name", "main"]])
    }

    @Test(
        "Whatever does not say that it is a master is none",
        arguments: [
            ("*2\r\n$5\r\nslave\r\n:6379\r\n", ScrapeErrorReason.connection),
            ("*2\r\n$8\r\nsentinel\r\n*0\r\n", .connection),
            ("$-1\r\n", .connection), ("*-1\r\n", .connection), ("*0\r\n", .connection), (":1\r\n", .connection),
            ("$6\r\nmaster\r\n", .connection), ("*1\r\n*1\r\n$6\r\nmaster\r\n", .connection),
            ("*1\r\n$6\r\nMASTER\r\n", .connection), ("*1\r\n$7\r\nmasters\r\n", .connection),
            ("*1\r\n$-1\r\n", .connection), ("-NOPERM no permissions to run 'role'\r\n", .permission),
            ("-LOADING Redis is loading\r\n", .loading),
        ])
    func otherRoles(role: String, reason: ScrapeErrorReason) throws {
        let redis = try Self.redis(role: role)
        let sentinel = try Self.sentinel(redis)
        let client = Self.client(sentinel)
        let refused = try #require(failure { try client.prepare(deadline: .soon) })
        #expect(refused.reason == reason, "\(refused)")
        #expect(!client.isConnected)
        #expect(failure { _ = try client.ask("PING") }?.reason == .connection)
        #expect(redis.commands == [["ROLE"]])
    }

    @Test(
        "A sentinel that names nothing that can be an address is passed over",
        arguments: [
            "*-1\r\n", "$-1\r\n", "*0\r\n", "*1\r\n$9\r\n127.0.0.1\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$1\r\nx\r\n",
            "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n", ":1\r\n", "-IDONTKNOW no such master\r\n",
            "-NOAUTH Authentication required.\r\n",
        ])
    func nameless(answer: String) throws {
        let lost = try FakeRedis { _, _ in .send(answer) }
        let master = try Self.redis(role: Self.master)
        let good = try Self.sentinel(master)
        #expect(failure { try Self.client(lost).prepare(deadline: .soon) } != nil)
        let client = Self.client(lost, good)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("PING") == Self.pong)
    }

    @Test("The sentinels have a password of their own; user, password and database are the master's")
    func credentials() throws {
        let master = try FakeRedis { _, words in .send(words[0] == "ROLE" ? Self.master : "+OK\r\n") }
        let port = String(master.port)
        let sentinel = try FakeRedis { _, words in
            .send(words[0] == "AUTH" ? "+OK\r\n" : "*2\r\n$9\r\n127.0.0.1\r\n$\(port.utf8.count)\r\n\(port)\r\n")
        }
        let placeholder = RedisEndpoint.Address.tcp(host: "placeholder", port: 1)
        let endpoint = RedisEndpoint(address: placeholder, username: "joe", password: "hush", database: 3)
        func prepare(_ password: String?) throws {
            let sentinels = RedisSentinels(addresses: [sentinel.address], master: "main", password: password)
            try RedisTarget(endpoint, sentinels: sentinels).makeClient(clock: .system).prepare(deadline: .soon)
        }
        try prepare("secret")
        #expect(sentinel.commands == [["AUTH", "secret"], ["SENTINEL", "get-master-addr-by-name", "main"]])
        #expect(master.commands == [["AUTH", "joe", "hush"], ["SELECT", "3"], ["ROLE"]])
        try prepare(nil)
        #expect(sentinel.commands.last == ["SENTINEL", "get-master-addr-by-name", "main"])
        #expect(sentinel.commands.count == 3, "without a password nothing logs in")
    }

    @Test("A sentinel that hangs leaves time for the others")
    func hanging() throws {
        let silent = try FakeRedis { _, _ in .silence }
        let master = try Self.redis(role: Self.master)
        let good = try Self.sentinel(master)
        let deadline = Clock.system.monotonic().advanced(by: .seconds(1))
        let client = Self.client(silent, good)
        try client.prepare(deadline: deadline)
        #expect(try client.ask("PING") == Self.pong)
    }

    @Test("A master that has become a replica is left, and the sentinels are asked again")
    func failover() throws {
        let roles = Mutex([Self.master, Self.master, Self.replica])
        let first = try FakeRedis { _, words in
            .send(words[0] == "ROLE" ? roles.withLock { $0.isEmpty ? Self.replica : $0.removeFirst() } : "+PONG\r\n")
        }
        let second = try Self.redis(role: Self.master)
        let ports = Mutex([String(first.port), String(second.port)])
        let sentinel = try FakeRedis { _, _ in
            let port = ports.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
            return .send("*2\r\n$9\r\n127.0.0.1\r\n$\(port.utf8.count)\r\n\(port)\r\n")
        }
        let client = Self.client(sentinel)
        for _ in 0..<2 { try client.prepare(deadline: .soon) }
        #expect(sentinel.commands.count == 1, "as long as it is a master")
        let left = try #require(failure { try client.prepare(deadline: .soon) })
        #expect(left.reason == .connection && left.message.contains("no master"), "\(left)")
        #expect(!client.isConnected)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("PING") == Self.pong)
        #expect(first.commands.count { $0 == ["ROLE"] } == 3 && first.commands.count { $0 == ["PING"] } == 0)
        #expect(second.commands == [["ROLE"], ["PING"]])
    }
}

@Suite("One node of a Cluster, named by redis://")
struct SingleNodeOfClusterTests {
    @Test(
        "What lies elsewhere is an error, and never taken for all there is",
        arguments: ["MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381"], [0, 1, 2])
    func redirected(text: String, place: Int) throws {
        let server = try FakeRedis { _, words in .send(words[0] == "GET" ? "-\(text)\r\n" : "+PONG\r\n") }
        let client = RedisTarget(server.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        var pipeline = RedisPipeline()
        for index in 0..<3 {
            if index == place { _ = pipeline.get([1]) } else { pipeline.add("PING") }
        }
        let refused = try #require(failure { _ = try client.roundTrip(pipeline, deadline: .soon) })
        #expect(refused.reason == .server && refused.message.contains("redis-cluster://"), "\(refused)")
        #expect(client.isConnected, "all replies have come")
        #expect(try client.ask("PING") == .string(Array("PONG".utf8)))
        #expect(server.connections == 1)
    }
}
