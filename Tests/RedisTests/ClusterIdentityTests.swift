import Model
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Redis

/// Nodes whose ids are told, as a test arranges them.
private final class Nodes: Sendable {
    struct Node {
        var port: UInt16
        var id: String
        /// How it answers `CLUSTER MYID`; nil: with its id.
        var myID: String?
        /// The nodes that its `CLUSTER SLOTS` names: each with an equal part of the slots.
        var slots: [(port: UInt16, id: String)]
        /// Its error reply to both; nil: none.
        var refusal: String?
        /// Where it says that the low key lies; nil: here.
        var moved: UInt16?
        /// Whether it hangs up at all connections but its first.
        var isFull = false
    }

    private let nodes = Mutex<[UInt16: Node]>([:])

    subscript(redis: FakeRedis) -> Node {
        get { nodes.withLock { $0[redis.port] } ?? Node(port: redis.port, id: "", slots: []) }
        set { nodes.withLock { $0[redis.port] = newValue } }
    }

    /// A node that answers each GET with its name.
    func make(_ name: String) throws -> FakeRedis {
        let port = Mutex<UInt16>(0)
        let redis = try FakeRedis(answersLogin: false) { [self] connection, words in
            guard let node = nodes.withLock({ $0[port.withLock { $0 }] }) else { return .close }
            if words[0] == "CLIENT" || words[0] == "PING" { return node.isFull && connection > 0 ? .close : .ok }
            if let moved = node.moved, words.last == FakeCluster.lowKey {
                return .send("-MOVED \(FakeCluster.lowSlot) 127.0.0.1:\(moved)\r\n")
            }
            if words[0] != "CLUSTER" { return .send("+\(name)\r\n") }
            if let refusal = node.refusal { return .send("-\(refusal)\r\n") }
            if words[1] == "MYID" { return .send(node.myID ?? Self.bulk(node.id)) }
            return .send(Self.slots(node.slots))
        }
        port.withLock { [number = redis.port] in $0 = number }
        self[redis] = Node(port: redis.port, id: "id-of-\(name)", slots: [])
        return redis
    }

    /// All of them know each other.
    func join(_ members: FakeRedis...) {
        let slots = members.map { (port: $0.port, id: self[$0].id) }
        for member in members { self[member].slots = slots }
    }

    private static func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

    private static func slots(_ members: [(port: UInt16, id: String)]) -> String {
        let size = 16_384 / max(members.count, 1)
        return "*\(members.count)\r\n"
            + members.enumerated().map { index, member in
                let last = index == members.count - 1 ? 16_383 : (index + 1) * size - 1
                return "*3\r\n:\(index * size)\r\n:\(last)\r\n*3\r\n$9\r\n127.0.0.1\r\n:\(member.port)\r\n"
                    + bulk(member.id)
            }.joined()
    }
}

@Suite("Who answers at the address of a Cluster's node")
struct ClusterIdentityTests {
    private static let values: [RedisReply] = ["low", "high"].map { .string(Array($0.utf8)) }

    private static func client(_ seed: FakeRedis, _ clock: Clock = .system) -> any RedisClient {
        RedisTarget(seed.endpoint, clusterSeeds: [seed.address]).makeClient(clock: clock)
    }

    /// What can stand at an address that was a node's.
    private static let strangers: [(name: String, become: @Sendable (inout Nodes.Node) -> Void)] = [
        ("a Redis without Cluster support", { $0.refusal = "ERR This instance has cluster support disabled" }),
        ("a Redis that does not know the command", { $0.refusal = "ERR unknown command 'CLUSTER'" }),
        ("a node of another Cluster", { $0.id = "id-of-another" }),
        (
            "one that is asked by CLUSTER SLOTS",
            {
                $0.myID = "-NOPERM this user has no permissions to run the 'cluster|myid' command\r\n"
                $0.slots = [($0.port, "id-of-another")]
            }
        ),
    ]

    @Test(
        "A stranger at the address of a node is not asked: its queues are absent, and it costs an error",
        arguments: strangers.indices)
    func stranger(index: Int) throws {
        let nodes = Nodes()
        let (low, high) = (try nodes.make("low"), try nodes.make("high"))
        nodes.join(low, high)
        let client = Self.client(low)
        try client.prepare(deadline: .soon)
        Self.strangers[index].become(&nodes[high])
        #expect(try client.both() == [Self.values[0], .unanswered], "\(Self.strangers[index].name)")
        let errors = client.takeNodeErrors()
        #expect(errors.map(\.reason) == [.connection], "\(errors)")
        #expect(errors.first?.message.contains("is not the node of the Cluster") == true, "\(errors)")
        #expect(!high.commands.contains { $0[0] == "GET" })
        try client.prepare(deadline: .soon)
        #expect(try client.both() == [Self.values[0], .unanswered])
    }

    @Test(
        "A node that does not tell its id is one by the ids that it names",
        arguments: [
            "-NOPERM this user has no permissions to run the 'cluster|myid' command\r\n", "-ERR not supported here\r\n",
            "$-1\r\n",
        ])
    func refused(answer: String) throws {
        let nodes = Nodes()
        let (low, high) = (try nodes.make("low"), try nodes.make("high"))
        nodes.join(low, high)
        for node in [low, high] { nodes[node].myID = answer }
        let client = Self.client(low)
        try client.prepare(deadline: .soon)
        #expect(try client.both() == Self.values)
        #expect(client.takeNodeErrors().isEmpty)
    }

    @Test(
        "A MOVED to a node that is not known is followed where it tells of the same Cluster, and nowhere else",
        arguments: [true, false])
    func moved(isOurs: Bool) throws {
        let nodes = Nodes()
        let (high, new) = (try nodes.make("high"), try nodes.make("low"))
        // The topology: all slots at `high`, which redirects the low ones.
        nodes[high].slots = [(high.port, "id-of-high")]
        nodes[new].slots = isOurs ? [(new.port, "id-of-low"), (high.port, "id-of-high")] : [(new.port, "id-of-low")]
        nodes[high].moved = new.port
        let client = Self.client(high)
        try client.prepare(deadline: .soon)
        #expect(try client.both() == [isOurs ? Self.values[0] : .unanswered, Self.values[1]])
        #expect(client.takeNodeErrors().map(\.reason) == (isOurs ? [] : [.connection]))
        #expect(new.commands.contains { $0[0] == "GET" } == isOurs)
    }

    @Test("A connection of the greatest age serves on while its node takes no other, and each scrape tells why")
    func failedRenewal() throws {
        let nodes = Nodes()
        let (low, high) = (try nodes.make("low"), try nodes.make("high"))
        nodes.join(low, high)
        let clock = TestClock()
        let client = Self.client(low, clock.clock)
        func errors(afterSeconds seconds: Int64) throws -> [String] {
            clock.advance(seconds: seconds)
            let deadline = clock.clock.monotonic().advanced(by: .seconds(30))
            try client.prepare(deadline: deadline)
            #expect(try client.both(deadline: deadline) == Self.values)
            return client.takeNodeErrors().map(\.message)
        }
        #expect(try errors(afterSeconds: 0).isEmpty)
        nodes[high].isFull = true
        for seconds in [Int64(120), 5, 60] {
            let told = try errors(afterSeconds: seconds)
            #expect(told.count == 1 && told[0].contains("closed the connection"), "\(told)")
        }
        nodes[high].isFull = false
        #expect(try errors(afterSeconds: 10).isEmpty)
    }

    @Test("A Cluster that was made anew at the same addresses is taken once the old one has not answered for its time")
    func madeAnew() throws {
        let nodes = Nodes()
        let (low, high) = (try nodes.make("low"), try nodes.make("high"))
        nodes.join(low, high)
        let clock = TestClock()
        let client = Self.client(low, clock.clock)
        func ask(afterSeconds seconds: Int64) throws -> [RedisReply] {
            clock.advance(seconds: seconds)
            let deadline = clock.clock.monotonic().advanced(by: .seconds(30))
            try client.prepare(deadline: deadline)
            return try client.both(deadline: deadline)
        }
        #expect(try ask(afterSeconds: 0) == Self.values)
        for node in [low, high] { nodes[node].id += "-anew" }
        nodes.join(low, high)
        // The connections are as old as they may become: each has to prove itself again.
        #expect(try ask(afterSeconds: 119) == Self.values)
        #expect(try ask(afterSeconds: 1) == [.unanswered, .unanswered])
        #expect(try ask(afterSeconds: 60) == [.unanswered, .unanswered])
        #expect(try ask(afterSeconds: 60) == Self.values)
    }
}
