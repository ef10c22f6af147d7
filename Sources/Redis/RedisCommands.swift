// These are the commands that read Redis, each with the type of its reply.

extension RedisPipeline {
    package mutating func llen(_ key: [UInt8]) -> Ask<Int64> { ask("LLEN", [key]) { $0.number } }
    package mutating func zcard(_ key: [UInt8]) -> Ask<Int64> { ask("ZCARD", [key]) { $0.number } }
    package mutating func scard(_ key: [UInt8]) -> Ask<Int64> { ask("SCARD", [key]) { $0.number } }
    package mutating func exists(_ key: [UInt8]) -> Ask<Bool> { ask("EXISTS", [key]) { $0.number.map { $0 > 0 } } }

    /// Asks how many of the keys exist. They have to lie in one slot of a Cluster.
    package mutating func exists(_ keys: [[UInt8]]) -> Ask<Int64> { ask("EXISTS", keys) { $0.number } }

    /// Asks for the values in the order of the keys; nil for one that is not a string. The keys have to lie in one slot
    /// of a Cluster.
    package mutating func mget(_ keys: [[UInt8]]) -> Ask<[[UInt8]?]> {
        let count = keys.count
        return ask("MGET", keys) { reply in
            reply.elements.flatMap { $0.count == count ? $0.map(\.bytes) : nil }
        }
    }

    /// Asks for a value; nil where the key is missing.
    package mutating func get(_ key: [UInt8]) -> Ask<[UInt8]?> { ask("GET", [key]) { $0.bytesOrNull } }

    /// Asks for `MEMORY USAGE`; nil where the key is missing.
    package mutating func memoryUsage(_ key: [UInt8]) -> Ask<Int64?> {
        ask("MEMORY", keyAt: 1, [Self.text("USAGE"), key]) { reply in
            if reply == .null { return .some(nil) }
            return reply.number.map { .some($0) }
        }
    }

    // MARK: Lists and sets

    /// Asks for the elements between two indices; negative ones count from the end.
    package mutating func lrange(_ key: [UInt8], from first: Int, to last: Int) -> Ask<[[UInt8]]> {
        ask("LRANGE", [key, Self.text(first), Self.text(last)]) { $0.strings }
    }

    /// Asks for one element; nil where the list is shorter.
    package mutating func lindex(_ key: [UInt8], _ index: Int) -> Ask<[UInt8]?> {
        ask("LINDEX", [key, Self.text(index)]) { $0.bytesOrNull }
    }

    package mutating func smembers(_ key: [UInt8]) -> Ask<[[UInt8]]> { ask("SMEMBERS", [key]) { $0.strings } }

    // MARK: Sorted sets

    /// Asks for the number of members with this score or a lower one.
    package mutating func zcount(_ key: [UInt8], upTo score: Int64) -> Ask<Int64> {
        ask("ZCOUNT", [key, Self.text("-inf"), Self.text(score)]) { $0.number }
    }

    /// Asks for the members between two ranks.
    package mutating func zrange(_ key: [UInt8], from first: Int, to last: Int) -> Ask<[[UInt8]]> {
        ask("ZRANGE", [key, Self.text(first), Self.text(last)]) { $0.strings }
    }

    package mutating func zrangeWithScores(_ key: [UInt8], from first: Int, to last: Int) -> Ask<[ScoredMember]> {
        ask("ZRANGE", [key, Self.text(first), Self.text(last), Self.text("WITHSCORES")]) { $0.scoredMembers }
    }

    /// Asks for `limit` members at most, the lowest scores first. A bound that is nil leaves that side open.
    package mutating func zrangeByScore(
        _ key: [UInt8], from: Int64?, to: Int64?, limit: Int
    ) -> Ask<[[UInt8]]> {
        ask("ZRANGEBYSCORE", [key] + Self.scores(from, to) + Self.limit(limit)) { $0.strings }
    }

    package mutating func zrangeByScoreWithScores(
        _ key: [UInt8], from: Int64?, to: Int64?, limit: Int
    ) -> Ask<[ScoredMember]> {
        let arguments = [key] + Self.scores(from, to) + [Self.text("WITHSCORES")] + Self.limit(limit)
        return ask("ZRANGEBYSCORE", arguments) { $0.scoredMembers }
    }

    /// Asks for the score of each member, in their order; nil for one that is not in the set.
    package mutating func zmscore(_ key: [UInt8], _ members: [[UInt8]]) -> Ask<[Int64?]> {
        let count = members.count
        return ask("ZMSCORE", [key] + members) { reply in
            reply.elements.flatMap { $0.count == count ? $0.map(\.score) : nil }
        }
    }

    // MARK: Hashes

    /// Asks for the fields of the hash.
    package mutating func hkeys(_ key: [UInt8]) -> Ask<[[UInt8]]> { ask("HKEYS", [key]) { $0.strings } }

    /// Asks for the value of each field, in their order; nil for one that the hash lacks.
    package mutating func hmget(_ key: [UInt8], _ fields: [[UInt8]]) -> Ask<[[UInt8]?]> {
        let count = fields.count
        return ask("HMGET", [key] + fields) { reply in
            reply.elements.flatMap { $0.count == count ? $0.map(\.bytes) : nil }
        }
    }

    package mutating func hmget(_ key: [UInt8], _ fields: String...) -> Ask<[[UInt8]?]> {
        hmget(key, fields.map { Array($0.utf8) })
    }

    /// Asks for the length of a field's value; 0 where the hash lacks the field.
    package mutating func hstrlen(_ key: [UInt8], _ field: String) -> Ask<Int64> {
        hstrlen(key, Self.text(field))
    }

    package mutating func hstrlen(_ key: [UInt8], _ field: [UInt8]) -> Ask<Int64> {
        ask("HSTRLEN", [key, field]) { $0.number }
    }

    // MARK: Servers

    /// Asks for a section of `INFO`, one text for each node; nil for a node that refuses.
    package mutating func info(_ section: String) -> Ask<[[UInt8]?]> {
        let index = addForEveryNode("INFO", Self.text(section), isOptional: true).index
        return Ask(index: index, command: "INFO") { $0.elements.map { $0.map(\.bytes) } }
    }

    /// Asks for `TIME`, the microseconds since 1970 of each node; nil for a node that refuses.
    package mutating func time() -> Ask<[Int64?]> {
        Ask(index: addForEveryNode("TIME", isOptional: true).index, command: "TIME") {
            $0.elements.map { $0.map(\.microseconds) }
        }
    }

    // MARK: Arguments

    private mutating func ask<Reply>(
        _ command: StaticString, keyAt: Int = 0, _ arguments: [[UInt8]], read: @escaping Ask<Reply>.Read
    ) -> Ask<Reply> {
        Ask(index: add(command, keyAt: keyAt, list: arguments).index, command: command, read: read)
    }

    private static func text(_ value: some CustomStringConvertible) -> [UInt8] { Array(value.description.utf8) }

    private static func scores(_ from: Int64?, _ to: Int64?) -> [[UInt8]] {
        [from.map { text($0) } ?? text("-inf"), to.map { text($0) } ?? text("+inf")]
    }

    private static func limit(_ count: Int) -> [[UInt8]] { [text("LIMIT"), text("0"), text(count)] }
}

/// A member of a sorted set.
package struct ScoredMember: Hashable, Sendable {
    package let member: [UInt8]
    package let score: Int64

    package init(member: [UInt8], score: Int64) {
        self.member = member
        self.score = score
    }
}

extension RedisReply {
    /// The bytes of a string, `.some(nil)` for null, nil for any other reply.
    fileprivate var bytesOrNull: [UInt8]?? {
        switch self {
        case .null: .some(nil)
        case .string(let bytes): bytes
        default: nil
        }
    }

    /// The strings of an array. A null array is an empty one.
    fileprivate var strings: [[UInt8]]? {
        if self == .null { return [] }
        return elements.map { $0.compactMap(\.bytes) }
    }

    /// The reply to TIME, which has seconds and microseconds, in microseconds.
    fileprivate var microseconds: Int64? {
        guard let parts = elements, parts.count == 2, let seconds = parts[0].number,
            let rest = parts[1].number
        else { return nil }
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        return overflow ? nil : product &+ rest
    }

    /// The reply to a command WITHSCORES: member, score, member, score, …
    package var scoredMembers: [ScoredMember]? {
        guard let flat = elements else { return nil }
        return stride(from: 0, to: flat.count - 1, by: 2).compactMap { index in
            guard let member = flat[index].bytes, let score = flat[index + 1].score else { return nil }
            return ScoredMember(member: member, score: score)
        }
    }
}
