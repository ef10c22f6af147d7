import Testing

@testable import Redis

@Suite("Slots of a Cluster")
struct ClusterTopologyTests {
    private static func slot(_ key: String) -> Int { ClusterTopology.slot(of: Array(key.utf8)[...]) }

    private static func range(_ first: Int64, _ last: Int64, _ host: RedisReply, _ port: Int64) -> RedisReply {
        .array([.integer(first), .integer(last), .array([host, .integer(port), .string(Array("id".utf8))])])
    }

    @Test(
        "A key's slot is the CRC-16 of its hash tag",
        arguments: [
            // The check value of the Cluster specification, and what CLUSTER KEYSLOT of Redis 7.0 says of the others.
            ("123456789", 12_739), ("foo", 12_182), ("bar", 5061), ("", 0), ("{foo}bar", 12_182),
            ("a{foo}{bar}", 12_182),
            ("{}foo", 9500), ("foo{}", 5542), ("foo{bar", 15_278),
        ])
    func slots(key: String, expected: Int) {
        #expect(Self.slot(key) == expected, "\(key)")
    }

    @Test("All keys of a queue are in one slot, also with } in its name")
    func queues() {
        for name in ["low", "a}b", "é\n\""] {
            let keys = ["pending", "t:1", "g:x"].map { Self.slot("asynq:{\(name)}:\($0)") }
            #expect(Set(keys).count == 1)
        }
    }

    @Test("A host that a node does not know is the one that was asked")
    func topology() throws {
        let reply = RedisReply.array([
            Self.range(0, 99, .string(Array("a".utf8)), 1), Self.range(100, 199, .string([]), 2),
            Self.range(200, 16_383, .null, 3),
        ])
        var topology = try ClusterTopology(reply, askedHost: "h")
        #expect(topology.masters == [.tcp(host: "a", port: 1), .tcp(host: "h", port: 2), .tcp(host: "h", port: 3)])
        #expect(topology.owner(of: 99) == topology.masters[0] && topology.owner(of: 16_383) == topology.masters[2])
        topology.move(99, to: .tcp(host: "b", port: 4))
        #expect(topology.owner(of: 99) == .tcp(host: "b", port: 4) && topology.owner(of: 98) == topology.masters[0])
    }

    @Test("A host `?` is one that the node does not know, in CLUSTER SLOTS and in MOVED")
    func unknownHost() throws {
        let topology = try ClusterTopology(.array([Self.range(0, 9, .string(Array("?".utf8)), 7)]), askedHost: "h")
        #expect(topology.masters == [.tcp(host: "h", port: 7)])
        let redirect = ClusterRedirect(.error("MOVED 1 ?:6381"), from: .tcp(host: "asked", port: 1))
        #expect(redirect?.address == .tcp(host: "asked", port: 6381))
    }

    @Test("More ranges than slots, or a slot that two nodes hold, are refused before they cost time")
    func overlapping() throws {
        let whole = Self.range(0, 16_383, .null, 1)
        #expect(throws: RedisError.self) {
            try ClusterTopology(.array(Array(repeating: whole, count: 20_000)), askedHost: "h")
        }
        #expect(throws: RedisError.self) {
            try ClusterTopology(
                .array([Self.range(0, 9000, .null, 1), Self.range(8000, 16_383, .null, 2)]), askedHost: "h")
        }
        let single = (0..<Int64(ClusterTopology.slots)).map { Self.range($0, $0, .null, $0 % 2 + 1) }
        #expect(try ClusterTopology(.array(single), askedHost: "h").masters.count == 2)
    }

    @Test(
        "Slots without a node are told apart, and a reply that is none is an error",
        arguments: [
            RedisReply.array([.integer(1)]), .array([Self.range(5, 4, .null, 1)]),
            .array([Self.range(0, 16_384, .null, 1)]),
            .array([Self.range(-1, 5, .null, 1)]), .array([Self.range(0, 5, .null, 70_000)]),
            .error("ERR cluster support disabled"),
        ])
    func broken(reply: RedisReply) throws {
        #expect(throws: RedisError.self) { try ClusterTopology(reply, askedHost: "h") }
        #expect(try ClusterTopology(.array([Self.range(1, 1, .null, 1)]), askedHost: "h").owner(of: 0) == nil)
    }

    @Test("MOVED and ASK name a slot and a node; nothing else redirects")
    func redirects() throws {
        let asked = RedisEndpoint.Address.tcp(host: "h", port: 1)
        func redirect(_ text: String) -> ClusterRedirect? { ClusterRedirect(.error(text), from: asked) }
        let moved = try #require(redirect("MOVED 3999 127.0.0.1:6381"))
        #expect(moved.isMove && moved.slot == 3999 && moved.address == .tcp(host: "127.0.0.1", port: 6381))
        #expect(redirect("ASK 1 ::1:6381")?.address == .tcp(host: "::1", port: 6381))
        #expect(redirect("ASK 1 :6381")?.address == .tcp(host: "h", port: 6381))
        #expect(redirect("ASK 1 :6381")?.isMove == false)
        for text in ["MOVED", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h:x", "MOVED 1 h", "ERR MOVED 1 h:1"] {
            #expect(redirect(text) == nil, "\(text)")
        }
        #expect(ClusterRedirect(.string(Array("MOVED 1 h:1".utf8)), from: asked) == nil)
    }
}
