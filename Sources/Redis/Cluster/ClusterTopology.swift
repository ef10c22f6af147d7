import Model

/// The nodes of a Redis Cluster, and the ranges of the 16,384 slots that each of them holds.
struct ClusterTopology: Equatable {
    static let slots = 16_384
    /// The bound of masters: more than Redis recommends, so that a broken reply costs little.
    static let maxNodes = 1000

    /// The masters, each once.
    private(set) var masters: [RedisEndpoint.Address] = []
    /// The place of each master in `masters`.
    private var indices: [RedisEndpoint.Address: UInt16] = [:]
    /// The ids of masters and replicas, as far as they are told (Redis 4 and later); nil for a node without one.
    private var ids: [RedisEndpoint.Address: String?] = [:]
    /// The index in `masters` of each slot's node, or nil where no node holds the slot.
    private var owners: [UInt16?] = Array(repeating: nil, count: slots)

    /// Reads the reply to `CLUSTER SLOTS`: for each range `[first, last, [host, port, id, …], replicas…]`. A host that
    /// the node does not know (null, empty, or `?`) is the one that was asked. Each slot has one master: a reply that
    /// names more slots than there are is broken, and would cost time for each of its ranges.
    /// - Throws: `RedisError` for a refusal and for a malformed reply.
    init(_ reply: RedisReply, askedHost: String) throws(RedisError) {
        if let text = reply.errorText { throw RedisError(reply: text) }
        var named = 0
        for range in reply.elements ?? [] {
            guard let parts = range.elements, parts.count >= 3, let first = parts[0].number, let last = parts[1].number,
                (0..<Int64(Self.slots)).contains(first), (first..<Int64(Self.slots)).contains(last),
                let master = Self.node(parts[2], askedHost)
            else {
                throw RedisError(.protocolError, "CLUSTER SLOTS did not answer with ranges of slots")
            }
            named += Int(last - first) + 1
            if named > Self.slots {
                throw RedisError(.protocolError, "CLUSTER SLOTS named more than \(Self.slots) slots")
            }
            for (address, id) in [master] + parts[3...].compactMap({ Self.node($0, askedHost) })
            where ids.count < Self.maxNodes {
                ids[address] = .some(id)
            }
            let owner = index(of: master.address)
            for slot in Int(first)...Int(last) { owners[slot] = owner }
        }
    }

    /// Reads one node: `[host, port, id, …]`.
    private static func node(
        _ reply: RedisReply, _ askedHost: String
    ) -> (address: RedisEndpoint.Address, id: String?)? {
        guard let node = reply.elements, node.count >= 2, let port = node[1].number.flatMap({ UInt16(exactly: $0) })
        else { return nil }
        let name = node[0].bytes.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let id = node.count >= 3 ? node[2].bytes.map { String(decoding: $0, as: UTF8.self) } : nil
        return (.tcp(host: isUnknown(host: name) ? askedHost : name, port: port), id)
    }

    /// Returns the id of the node at the address; nil where it is unknown.
    func id(of address: RedisEndpoint.Address) -> String? { ids[address] ?? nil }

    /// Returns true if the other topology is of the same Cluster, perhaps at another time. The two have a node in
    /// common then, by its id, or by its address where ids are not told.
    func isOfSameCluster(as other: ClusterTopology) -> Bool {
        let (mine, theirs) = (Set(ids.values.compactMap(\.self)), Set(other.ids.values.compactMap(\.self)))
        if mine.isEmpty || theirs.isEmpty { return ids.keys.contains { other.ids[$0] != nil } }
        return !mine.isDisjoint(with: theirs)
    }

    func owner(of slot: Int) -> RedisEndpoint.Address? {
        owners[slot].map { masters[Int($0)] }
    }

    /// Records that the slot lies at another node, as a node has said.
    mutating func move(_ slot: Int, to address: RedisEndpoint.Address) {
        owners[slot] = index(of: address)
    }

    private mutating func index(of address: RedisEndpoint.Address) -> UInt16? {
        if let known = indices[address] { return known }
        guard masters.count < Self.maxNodes else { return nil }
        indices[address] = UInt16(masters.count)
        masters.append(address)
        return indices[address]
    }

    /// Returns true if a node names a host that it does not know; `?` where `cluster-preferred-endpoint-type` is
    /// `hostname`.
    static func isUnknown(host: String) -> Bool { host.isEmpty || host == "?" }

    /// Returns the slot of a key: CRC-16 (XMODEM) of the bytes between its first `{` and the next `}`, or of the whole
    /// key where there are none.
    static func slot(of key: ArraySlice<UInt8>) -> Int {
        var hashed = key
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let rest = key[(open + 1)...]
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex { hashed = rest[..<close] }
        }
        return Int(crc16(hashed)) % slots
    }

    private static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in
            (0..<8).reduce(crc ^ UInt16(byte) << 8) { crc, _ in crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
    }
}

/// The redirection `MOVED 3999 127.0.0.1:6381` (the slot lies there now) or `ASK 3999 127.0.0.1:6381` (this once).
struct ClusterRedirect: Equatable {
    let slot: Int
    let address: RedisEndpoint.Address
    let isMove: Bool

    init?(_ reply: RedisReply, from asked: RedisEndpoint.Address) {
        guard let text = reply.errorText, text.hasPrefix("MOVED ") || text.hasPrefix("ASK ") else { return nil }
        let words = text.split(separator: " ")
        guard words.count >= 3, let slot = Int(words[1]), (0..<ClusterTopology.slots).contains(slot),
            let colon = words[2].lastIndex(of: ":"), let port = UInt16(words[2][words[2].index(after: colon)...])
        else { return nil }
        var host = String(words[2][..<colon])
        // An IPv6 address stands without brackets here. A host that the node does not know is the one that was asked.
        if ClusterTopology.isUnknown(host: host), case .tcp(let askedHost, _) = asked { host = askedHost }
        self.slot = slot
        address = .tcp(host: host, port: port)
        isMove = words[0] == "MOVED"
    }
}
