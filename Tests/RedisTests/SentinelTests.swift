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

    @Test("A master that is slower than one sentinel's share has the share of the last one as well")
    func slowMaster() throws {
        let master = try FakeRedis { number, words in
            number == 0 ? .silence : .send(words[0] == "ROLE" ? Self.master : "+PONG\r\n")
        }
        let (first, second, third) = (
            try Self.sentinel(master), try Self.sentinel(master), try Self.sentinel(master)
        )
        let client = Self.client(first, second, third)
        try withExtendedLifetime((first, second, third)) {
            try client.prepare(deadline: Clock.system.monotonic().advanced(by: .seconds(2)))
        }
        #expect(client.isConnected && master.connections == 2)
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
        #expect(left.reason == .connection && left.message.contains("is not a master"), "\(left)")
        #expect(!client.isConnected)
        try client.prepare(deadline: .soon)
        #expect(try client.ask("PING") == Self.pong)
        #expect(first.commands.count { $0 == ["ROLE"] } == 3 && first.commands.count { $0 == ["PING"] } == 0)
        #expect(second.commands == [["ROLE"], ["PING"]])
    }

    @Test("All that belongs to a sentinel fits into its share: one whose master is silent leaves time for the others")
    func staleSentinel() throws {
        let silent = try FakeRedis(greeting: .silence) { _, _ in .silence }
        let master = try Self.redis(role: Self.master)
        let (stale, alike, good) = (try Self.sentinel(silent), try Self.sentinel(silent), try Self.sentinel(master))
        let client = Self.client(stale, alike, good)
        try client.prepare(deadline: Clock.system.monotonic().advanced(by: .seconds(2)))
        #expect(try client.ask("PING") == Self.pong)
        #expect(alike.commands.count == 1 && silent.connections == 1, "an address that failed is not tried again")
    }

    /// A client by a clock of the test's own, and how it prepares after some seconds.
    private static func timed(
        _ sentinels: FakeRedis...
    ) -> (client: any RedisClient, prepare: (_ afterSeconds: Int64) throws -> Void) {
        let clock = TestClock()
        let client = RedisTarget(
            RedisEndpoint(address: .tcp(host: "placeholder", port: 1)),
            sentinels: RedisSentinels(addresses: sentinels.map(\.address), master: "main")
        ).makeClient(clock: clock.clock)
        return (
            client,
            { seconds in
                clock.advance(seconds: seconds)
                try client.prepare(deadline: clock.clock.monotonic().advanced(by: .seconds(2)))
            }
        )
    }

    @Test("The sentinel that was right last time is asked first")
    func order() throws {
        let gone = try Self.redis(role: Self.replica)
        let master = try Self.redis(role: Self.master)
        let (stale, good) = (try Self.sentinel(gone), try Self.sentinel(master))
        let (_, prepare) = Self.timed(stale, good)
        try prepare(0)
        #expect(stale.commands.count == 1 && good.commands.count == 1)
        try prepare(120)
        #expect(stale.commands.count == 1 && good.commands.count == 2, "a new connection")
    }

    @Test("A master that most sentinels have replaced is left, though it still says that it is one")
    func splitBrain() throws {
        let (old, new) = (try Self.redis(role: Self.master), try Self.redis(role: Self.master))
        let named = Mutex(old.port)
        let others = try (0..<2).map { _ in
            try FakeRedis { _, _ in
                let port = String(named.withLock { $0 })
                return .send("*2\r\n$9\r\n127.0.0.1\r\n$\(port.utf8.count)\r\n\(port)\r\n")
            }
        }
        let behind = try Self.sentinel(old)
        let (client, prepare) = Self.timed(behind, others[0], others[1])
        try prepare(0)
        named.withLock { [port = new.port] in $0 = port }
        try prepare(9)
        #expect(others[0].commands.isEmpty, "sentinels are asked every ten seconds")
        // Each in turn: the one that is behind may be the first.
        for _ in 0..<3 { try prepare(10) }
        #expect(try client.ask("PING", deadline: MonotonicTime.soon.advanced(by: .seconds(600))) == Self.pong)
        #expect(new.commands.contains(["PING"]) && !old.commands.contains(["PING"]))
    }

    @Test("One sentinel against most of them changes nothing, nor does one that does not answer")
    func minority() throws {
        let (master, stranger) = (try Self.redis(role: Self.master), try Self.redis(role: Self.master))
        let dead = try FakeRedis { _, _ in .close }
        let (good, good2, odd) = (try Self.sentinel(master), try Self.sentinel(master), try Self.sentinel(stranger))
        let (_, prepare) = Self.timed(good, good2, odd)
        for _ in 0..<5 { try prepare(10) }
        #expect(odd.commands.count > 0 && stranger.connections == 0 && master.connections == 1)
        let (_, alone) = Self.timed(good, dead)
        for _ in 0..<2 { try alone(10) }
        #expect(dead.connections == 1 && master.connections == 2)
    }

    @Test("As many sentinels for another master as for the present one change nothing")
    func tie() throws {
        let (master, other) = (try Self.redis(role: Self.master), try Self.redis(role: Self.master))
        let (good, odd) = (try Self.sentinel(master), try Self.sentinel(other))
        let (_, prepare) = Self.timed(good, odd)
        for _ in 0..<5 { try prepare(10) }
        #expect(odd.commands.count > 0 && other.connections == 0 && master.connections == 1)
    }

    @Test("A Redis in place of a sentinel, and a sentinel in place of a Redis, are named, with what to write")
    func confused() throws {
        let redis = try FakeRedis { _, words in
            .send("-ERR unknown command '\(words[0])', with args beginning with: \r\n")
        }
        let noSentinel = try #require(failure { try Self.client(redis).prepare(deadline: .soon) })
        #expect(noSentinel.message.contains("is not a sentinel"), "\(noSentinel)")
        #expect(noSentinel.message.contains("redis://127.0.0.1:\(redis.port)"))
        let sentinel = try FakeRedis { _, words in
            words[0] == "ROLE"
                ? .send("*2\r\n$8\r\nsentinel\r\n*1\r\n$6\r\nqueues\r\n")
                : .send("-ERR unknown command '\(words[0])', with args beginning with: \r\n")
        }
        let client = RedisTarget(sentinel.endpoint).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        let noRedis = try #require(failure { _ = try client.ask("SMEMBERS", "asynq:queues") })
        let url = "redis-sentinel://127.0.0.1:\(sentinel.port)/0?master=queues"
        #expect(noRedis.message.contains("a sentinel answers") && noRedis.message.contains(url), "\(noRedis)")
        let cluster = RedisTarget(sentinel.endpoint, clusterSeeds: [sentinel.address]).makeClient(clock: .system)
        #expect(failure { try cluster.prepare(deadline: .soon) }?.message.contains(url) == true)
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
