import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Redis

/// Two fake masters: the first holds the lower half of the slots, the second the upper half.
final class FakeCluster: Sendable {
    /// Slots 5061 and 12182.
    static let lowKey = "bar", highKey = "foo"
    static let lowSlot = 5061, highSlot = 12_182

    private struct Ports {
        var low: UInt16 = 0
        var high: UInt16 = 0
    }

    private final class Shared: Sendable {
        let ports = Mutex(Ports())

        func slots() -> String {
            let ports = ports.withLock { $0 }
            func range(_ first: Int, _ last: Int, _ port: UInt16) -> String {
                "*3\r\n:\(first)\r\n:\(last)\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(port)\r\n"
            }
            return "*2\r\n" + range(0, 8191, ports.low) + range(8192, 16_383, ports.high)
        }
    }

    let low: FakeRedis
    let high: FakeRedis

    init(low lowAnswer: @escaping FakeRedis.Answer, high highAnswer: @escaping FakeRedis.Answer) throws {
        let shared = Shared()
        func fake(_ answer: @escaping FakeRedis.Answer) throws -> FakeRedis {
            try FakeRedis { $1[0] == "CLUSTER" ? .send(shared.slots()) : answer($0, $1) }
        }
        low = try fake(lowAnswer)
        high = try fake(highAnswer)
        let (lowPort, highPort) = (low.port, high.port)
        shared.ports.withLock { $0 = Ports(low: lowPort, high: highPort) }
    }

    func client(interrupt: Waker? = nil) throws -> any RedisClient {
        let client = RedisTarget(low.endpoint, clusterSeeds: [low.address]).makeClient(
            clock: .system, interrupt: interrupt)
        try client.prepare(deadline: .soon)
        return client
    }
}

extension RedisClient {
    /// GET of a key on either node, in one go.
    func both(deadline: MonotonicTime = .soon) throws -> [RedisReply] {
        var pipeline = RedisPipeline()
        for key in [FakeCluster.lowKey, FakeCluster.highKey] { pipeline.add("GET", Array(key.utf8)) }
        return try roundTrip(pipeline, deadline: deadline)
    }
}

@Suite("A Cluster whose nodes hang, close or lie")
struct RedisClusterTests {
    private static let values: [RedisReply] = [.string(Array("low".utf8)), .string(Array("high".utf8))]
    private static let low: FakeRedis.Answer = { _, _ in .send("+low\r\n") }
    private static let high: FakeRedis.Answer = { _, _ in .send("+high\r\n") }

    @Test("MOVED to a node that hangs leaves time for the healthy ones, and their connections")
    func redirectedToHung() throws {
        let hung = try FakeRedis { _, _ in .silence }
        let port = hung.port
        let cluster = try FakeCluster(
            low: { _, _ in .send("-MOVED \(FakeCluster.lowSlot) 127.0.0.1:\(port)\r\n") }, high: Self.high)
        let client = try cluster.client()
        let deadline = Clock.system.monotonic().advanced(by: .seconds(4))
        #expect(try client.both(deadline: deadline) == [.unanswered, Self.values[1]])
        #expect(client.takeNodeErrors().map(\.reason) == [.timeout])
        #expect(try client.ask("GET", FakeCluster.highKey, deadline: deadline) == Self.values[1])
        #expect(client.takeNodeErrors().isEmpty)
        #expect(cluster.low.connections == 1 && cluster.high.connections == 1)
    }

    @Test("A deadline that has passed costs no connection to which nothing was sent, and no pause")
    func passedDeadline() throws {
        let cluster = try FakeCluster(low: Self.low, high: Self.high)
        let client = try cluster.client()
        #expect(try client.both() == Self.values)
        let passed = MonotonicTime(nanoseconds: 1)
        #expect(try client.both(deadline: passed) == [.unanswered, .unanswered])
        #expect(client.takeNodeErrors().map(\.reason) == [.timeout, .timeout])
        #expect(try client.both() == Self.values)
        #expect(cluster.low.connections == 1 && cluster.high.connections == 1)
    }

    @Test("A node that has left the topology has no connection any more, one that stays keeps its own")
    func leftNode() throws {
        let cluster = try FakeCluster(low: Self.low, high: Self.high)
        let client = try #require(try cluster.client() as? RedisCluster)
        #expect(try client.both() == Self.values && client.nodes.isConnected(cluster.high.address))
        let node = RedisReply.array([.string(Array("127.0.0.1".utf8)), .integer(Int64(cluster.low.port))])
        let slots = RedisReply.array([.array([.integer(0), .integer(16_383), node])])
        client.adopt(try ClusterTopology(slots, askedHost: "127.0.0.1"))
        #expect(client.nodes.isConnected(cluster.low.address) && !client.nodes.isConnected(cluster.high.address))
    }

    @Test("Each node is logged in to with the url's user and password, and no database is chosen")
    func credentials() throws {
        let answer: @Sendable (String) -> FakeRedis.Answer = { text in
            { _, words in .send(words[0] == "AUTH" ? "+OK\r\n" : "+\(text)\r\n") }
        }
        let cluster = try FakeCluster(low: answer("low"), high: answer("high"))
        let placeholder = RedisEndpoint.Address.tcp(host: "placeholder", port: 1)
        let endpoint = RedisEndpoint(address: placeholder, username: "joe", password: "hush")
        let client = RedisTarget(endpoint, clusterSeeds: [cluster.low.address]).makeClient(clock: .system)
        try client.prepare(deadline: .soon)
        #expect(try client.both() == Self.values)
        // What a node proves itself by stands in ClusterIdentityTests.
        func commands(_ node: FakeRedis) -> [[String]] { node.commands.filter { $0[0] != "CLUSTER" } }
        #expect(commands(cluster.low) == [["AUTH", "joe", "hush"], ["GET", FakeCluster.lowKey]])
        #expect(commands(cluster.high) == [["AUTH", "joe", "hush"], ["GET", FakeCluster.highKey]])
    }

    @Test("Nor does one that has passed before a node was ever connected make that node wait")
    func passedDeadlineUnconnected() throws {
        let cluster = try FakeCluster(low: Self.low, high: Self.high)
        let client = try cluster.client()
        #expect(try client.both(deadline: MonotonicTime(nanoseconds: 1)) == [.unanswered, .unanswered])
        #expect(try client.both() == Self.values)
    }

    @Test("Half a reply that an interruption left behind is not read as the next one")
    func interrupted() throws {
        let waker = try Waker()
        let cluster = try FakeCluster(
            low: Self.low,
            high: { connection, _ in
                if connection > 0 { return .send("+high\r\n") }
                waker.wake()
                return .send("$4\r\nol")
            })
        let client = try cluster.client(interrupt: waker)
        #expect(failure { _ = try client.both() }?.message == "interrupted")
        waker.drain()
        cluster.high.push("d!\r\n")
        #expect(try client.both() == Self.values)
    }

    @Test("A node's idle connection that was closed is made anew within the round trip", arguments: [false, true])
    func idle(isSeen: Bool) throws {
        let cluster = try FakeCluster(
            low: Self.low,
            high: { connection, words in
                if connection > 0 { return .send("+high\r\n") }
                return isSeen ? .sendAndClose("+high\r\n") : words[0] == "GET" ? .send("+high\r\n") : .close
            })
        let client = try cluster.client()
        #expect(try client.both() == Self.values)
        if isSeen { cluster.high.awaitEnd() }
        var pipeline = RedisPipeline()
        pipeline.add("LLEN", Array(FakeCluster.lowKey.utf8))
        pipeline.add("LLEN", Array(FakeCluster.highKey.utf8))
        #expect(try client.roundTrip(pipeline, deadline: .soon) == Self.values)
        #expect(client.takeNodeErrors().isEmpty)
        #expect(cluster.high.connections == 2 && cluster.low.connections == 1)
        #expect(cluster.low.commands.count { $0[0] == "LLEN" } == 1)
    }

    @Test("ASK is followed with ASKING on the same connection just before the command, and changes no slot")
    func ask() throws {
        let port = Mutex(UInt16(0))
        let cluster = try FakeCluster(
            low: { _, _ in .send("-ASK \(FakeCluster.lowSlot) 127.0.0.1:\(port.withLock { $0 })\r\n") },
            high: { _, words in .send(words[0] == "ASKING" ? "+OK\r\n" : "+high\r\n") })
        port.withLock { [high = cluster.high.port] in $0 = high }
        let client = try cluster.client()
        for _ in 0..<2 { #expect(try client.ask("GET", FakeCluster.lowKey) == Self.values[1]) }
        #expect(client.takeNodeErrors().isEmpty)
        let asked = cluster.high.commands.filter { $0[0] != "CLUSTER" }
        #expect(asked == [["ASKING"], ["GET", FakeCluster.lowKey], ["ASKING"], ["GET", FakeCluster.lowKey]])
        #expect(cluster.low.commands.count { $0[0] == "GET" } == 2)
    }

    @Test("A user who may not say ASKING is told so, and the command goes in no circles")
    func asking() throws {
        let ports = Mutex((low: UInt16(0), high: UInt16(0)))
        let cluster = try FakeCluster(
            low: { _, _ in .send("-ASK \(FakeCluster.lowSlot) 127.0.0.1:\(ports.withLock { $0.high })\r\n") },
            high: { _, words in
                if words[0] == "ASKING" {
                    return .send("-NOPERM this user has no permissions to run the 'asking' command\r\n")
                }
                if words[1] == FakeCluster.highKey { return .send("+high\r\n") }
                return .send("-MOVED \(FakeCluster.lowSlot) 127.0.0.1:\(ports.withLock { $0.low })\r\n")
            })
        ports.withLock { [low = cluster.low.port, high = cluster.high.port] in $0 = (low, high) }
        let client = try cluster.client()
        #expect(try client.both() == [.unanswered, Self.values[1]])
        let errors = client.takeNodeErrors()
        #expect(errors.map(\.reason) == [.permission])
        #expect(errors.first?.message.contains("+asking") == true, "\(errors)")
        #expect(cluster.low.commands.count { $0[0] == "GET" } == 1)
    }

    @Test("MOVED is remembered: the next command goes to the new node at once")
    func moved() throws {
        let port = Mutex(UInt16(0))
        let cluster = try FakeCluster(
            low: { _, _ in .send("-MOVED \(FakeCluster.lowSlot) 127.0.0.1:\(port.withLock { $0 })\r\n") },
            high: Self.high)
        port.withLock { [high = cluster.high.port] in $0 = high }
        let client = try #require(try cluster.client() as? RedisCluster)
        #expect(!client.isStale)
        for _ in 0..<2 { #expect(try client.ask("GET", FakeCluster.lowKey) == Self.values[1]) }
        #expect(client.takeNodeErrors().isEmpty && client.isStale, "the topology is read again before the next scrape")
        #expect(cluster.low.commands.count { $0[0] == "GET" } == 1)
    }

    @Test("A command that is redirected six times goes in circles: it stays unanswered, the others do not")
    func circles() throws {
        let port = Mutex(UInt16(0))
        let cluster = try FakeCluster(
            low: { _, words in
                let port = port.withLock { $0 }
                return .send(words[0] == "ASKING" ? "+OK\r\n" : "-ASK \(FakeCluster.lowSlot) 127.0.0.1:\(port)\r\n")
            }, high: Self.high
        )
        port.withLock { [low = cluster.low.port] in $0 = low }
        let client = try cluster.client()
        #expect(try client.both() == [.unanswered, Self.values[1]])
        let errors = client.takeNodeErrors()
        #expect(errors.map(\.reason) == [.clusterDown])
        #expect(errors.first?.message.hasSuffix("a command was redirected in circles") == true, "\(errors)")
        #expect(cluster.low.commands.count { $0[0] == "GET" } == 6)
    }

    @Test("Keys of slots that no node holds stay unanswered, with one error; the topology is read again")
    func uncovered() throws {
        let cluster = try FakeCluster(low: Self.low, high: Self.high)
        let client = try #require(try cluster.client() as? RedisCluster)
        let node = RedisReply.array([.string(Array("127.0.0.1".utf8)), .integer(Int64(cluster.low.port))])
        client.adopt(
            try ClusterTopology(.array([.array([.integer(0), .integer(8191), node])]), askedHost: "127.0.0.1"))
        #expect(!client.isStale)
        var pipeline = RedisPipeline()
        for key in [FakeCluster.lowKey, FakeCluster.highKey, FakeCluster.highKey] {
            pipeline.add("GET", Array(key.utf8))
        }
        #expect(try client.roundTrip(pipeline, deadline: .soon) == [Self.values[0], .unanswered, .unanswered])
        let errors = client.takeNodeErrors()
        #expect(errors.map(\.reason) == [.clusterDown])
        #expect(errors.first?.message.hasSuffix("no node holds some of the slots") == true && client.isStale)
    }

    @Test("A command for every node has one reply a node; without a topology nothing is asked")
    func everyNode() throws {
        let cluster = try FakeCluster(low: Self.low, high: Self.high)
        let client = try cluster.client()
        var pipeline = RedisPipeline()
        pipeline.addForEveryNode("INFO")
        pipeline.add("GET", Array(FakeCluster.highKey.utf8))
        let replies = try client.roundTrip(pipeline, deadline: .soon)
        #expect(Set(replies[0].elements?.map { "\($0)" } ?? []) == Set(Self.values.map { "\($0)" }))
        #expect(replies[0].elements?.count == 2 && replies[1] == Self.values[1])
        let fresh = RedisTarget(cluster.low.endpoint, clusterSeeds: [cluster.low.address]).makeClient(clock: .system)
        #expect(!fresh.isConnected && client.isConnected)
        let error = failure { _ = try fresh.roundTrip(pipeline, deadline: .soon) }
        #expect(error?.reason == .connection && error?.message.hasSuffix(": not connected") == true)
    }

    @Test(
        "A node that answers a command with an error of the whole node is told of, and its keys stay unanswered; an error of one command is its reply",
        arguments: [
            ("CLUSTERDOWN The cluster is down", ScrapeErrorReason.clusterDown),
            ("LOADING Redis is loading the dataset in memory", .loading), ("WRONGTYPE Operation against a key", nil),
        ] as [(String, ScrapeErrorReason?)])
    func refused(text: String, reason: ScrapeErrorReason?) throws {
        let cluster = try FakeCluster(low: { _, _ in .send("-\(text)\r\n") }, high: Self.high)
        let client = try #require(try cluster.client() as? RedisCluster)
        let replies = try client.both()
        #expect(replies == [reason == nil ? .error(text) : .unanswered, Self.values[1]])
        let errors = client.takeNodeErrors()
        #expect(errors.map(\.reason) == (reason.map { [$0] } ?? []))
        #expect(client.isStale == (reason != nil))
        if reason != nil { #expect(errors[0].message.hasPrefix("\(cluster.low.address): "), "\(errors)") }
    }

    @Test("A node that hangs up at a command that may be left out is asked the others, and not that one again")
    func optional() throws {
        let cluster = try FakeCluster(
            low: { _, words in words[0] == "CONFIG" ? .close : .send("+low\r\n") },
            high: { _, words in .send(words[0] == "CONFIG" ? "+set\r\n" : "+high\r\n") })
        let client = try cluster.client()
        var pipeline = RedisPipeline()
        pipeline.add("GET", Array(FakeCluster.lowKey.utf8))
        pipeline.addForEveryNode("CONFIG", Array("GET".utf8), isOptional: true)
        for _ in 0..<2 {
            let replies = try client.roundTrip(pipeline, deadline: .soon)
            #expect(replies[0] == Self.values[0])
            let elements = replies[1].elements ?? []
            #expect(elements.count == 2 && elements.contains(.string(Array("set".utf8))), "\(elements)")
            #expect(elements.contains(RedisPipeline.leftOut))
        }
        #expect(client.takeNodeErrors().isEmpty)
        #expect(cluster.low.commands.count { $0[0] == "CONFIG" } == 1 && cluster.low.connections == 2)
    }

    @Test("A node that does not answer is left alone for a while: its error is told again, and it is not asked")
    func paused() throws {
        let cluster = try FakeCluster(low: { _, _ in .sendAndClose("*") }, high: Self.high)
        let client = try #require(try cluster.client() as? RedisCluster)
        #expect(try client.both() == [.unanswered, Self.values[1]])
        let first = client.takeNodeErrors()
        #expect(first.count == 1 && client.nodes.isPaused(cluster.low.address) && client.isStale)
        client.isStale = false
        #expect(try client.both() == [.unanswered, Self.values[1]])
        #expect(client.takeNodeErrors().map(\.message) == first.map(\.message) && client.isStale)
        #expect(cluster.low.commands.count { $0[0] == "GET" } == 1)
    }

    @Test("A node that refuses to tell the topology is asked once; one that has closed an idle connection, anew")
    func topology() throws {
        let mayAnswer = Mutex(true)
        let node = try FakeRedis { connection, words in
            if words[0] != "CLUSTER" { return .send("+PONG\r\n") }
            return mayAnswer.withLock { $0 } ? .send("*0\r\n") : connection == 0 ? .close : .send("-LOADING later\r\n")
        }
        let client = RedisCluster(
            RedisTarget(node.endpoint, clusterSeeds: [node.address]), clock: .system, interrupt: nil)
        func read() -> RedisError? { failure { _ = try client.readTopology(node.address, deadline: .soon) } }
        func questions() -> Int { node.commands.count { $0[0] == "CLUSTER" } }
        _ = read()
        let first = questions()
        mayAnswer.withLock { $0 = false }
        #expect(read()?.reason == .loading && node.connections == 2, "the idle connection was closed")
        #expect(questions() == first + 2)
        #expect(read()?.reason == .loading && node.connections == 2)
        #expect(questions() == first + 3, "a refusal is an answer")
    }
}
