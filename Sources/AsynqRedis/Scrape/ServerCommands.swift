import Model
import ProtobufWire
import Redis

// The servers' and schedulers' part of a scrape.
//
//   round trip 1   ZRANGEBYSCORE asynq:servers <now> +inf, the same of asynq:schedulers; INFO memory, stats, clients
//   round trip 2   GET of each server key, LRANGE of each scheduler's list
//
// Asynq's own Inspector also deletes the stale members of the indexes; a scrape reads only. A member whose key is gone
// (the server stopped, or its ten seconds are over) is no live server.
struct ServerScrape {
    /// More members of an index, or entries of a scheduler, are not looked at; counted as a `limit` error.
    static let maxMembers = 5000

    private(set) var servers: [ServerSnapshot]?
    private(set) var schedulerEntries: [SchedulerEntrySnapshot]?
    private(set) var info = RedisInfo()
    /// Masters that `info` is the sum of.
    private(set) var nodeCount = 0
    private(set) var errors: [RedisError] = []
    /// By the key that the index names.
    private(set) var serversByKey: [[UInt8]: ServerSnapshot] = [:]
    private let lastServers: [[UInt8]: ServerSnapshot]

    /// `last`: what the scrape before saw.
    init(last: [[UInt8]: ServerSnapshot] = [:]) {
        lastServers = last
    }

    private var first = 0
    private var second = 0
    private var serverKeys: [[UInt8]]?
    private var schedulerKeys: [[UInt8]]?

    // MARK: Round trip 1

    mutating func addIndexes(to pipeline: inout RedisPipeline, at now: WallTime) {
        first = pipeline.count
        let now = Array(String(now.wholeSeconds).utf8)
        for index in [AsynqKeys.servers, AsynqKeys.schedulers] {
            pipeline.add(
                "ZRANGEBYSCORE", index, now, Array("+inf".utf8), Array("LIMIT".utf8), Array("0".utf8),
                Array(String(Self.maxMembers + 1).utf8))
        }
        for section in ["memory", "stats", "clients"] { pipeline.addForEveryNode("INFO", Array(section.utf8)) }
    }

    mutating func readIndexes(_ replies: [RedisReply]) {
        serverKeys = members(replies[first], of: "asynq:servers")
        schedulerKeys = members(replies[first + 1], of: "asynq:schedulers")
        // INFO is optional: where an ACL forbids it, its metrics are absent and nothing is wrong.
        let sections = replies[first + 2..<first + 5].map { $0.elements ?? [] }
        for node in 0..<(sections.map(\.count).min() ?? 0) {
            var info = RedisInfo()
            for section in sections {
                if let bytes = section[node].bytes { info.read(String(decoding: bytes, as: UTF8.self)) }
            }
            self.info = node == 0 ? info : self.info.adding(info)
            nodeCount += 1
        }
    }

    private mutating func members(_ reply: RedisReply, of key: String) -> [[UInt8]]? {
        if reply == .unanswered { return nil }
        if let text = reply.errorText {
            errors.append(RedisError(reply: text))
            return nil
        }
        let members = (reply.elements ?? []).compactMap(\.bytes)
        if members.count > Self.maxMembers {
            errors.append(RedisError(.limit, "\(key) has more than \(Self.maxMembers) live members"))
        }
        return Array(members.prefix(Self.maxMembers))
    }

    // MARK: Round trip 2

    mutating func addDetails(to pipeline: inout RedisPipeline) {
        second = pipeline.count
        for key in serverKeys ?? [] { pipeline.add("GET", key) }
        for key in schedulerKeys ?? [] {
            pipeline.add("LRANGE", key, Array("0".utf8), Array(String(Self.maxMembers - 1).utf8))
        }
    }

    mutating func readDetails(_ replies: [RedisReply]) {
        var index = second
        if let serverKeys {
            servers = []
            for key in serverKeys {
                readServer(replies[index], key)
                index += 1
            }
        }
        if let schedulerKeys {
            schedulerEntries = []
            for _ in schedulerKeys {
                readScheduler(replies[index])
                index += 1
            }
        }
    }

    private mutating func readServer(_ reply: RedisReply, _ key: [UInt8]) {
        if let text = reply.errorText { errors.append(RedisError(reply: text)) }
        // The index says that it lives, only its node can't be asked: what it said last holds.
        if reply == .unanswered, let last = lastServers[key] {
            servers?.append(last)
            serversByKey[key] = last
        }
        guard let bytes = reply.bytes else { return }
        do throws(WireError) {
            let server = try ServerSnapshot(serverInfo: bytes)
            servers?.append(server)
            serversByKey[key] = server
        } catch {
            errors.append(RedisError(.malformed, "a ServerInfo: \(error.reason.rawValue)"))
        }
    }

    private mutating func readScheduler(_ reply: RedisReply) {
        if let text = reply.errorText { errors.append(RedisError(reply: text)) }
        for bytes in (reply.elements ?? []).compactMap(\.bytes) {
            do throws(WireError) {
                schedulerEntries?.append(try SchedulerEntrySnapshot(schedulerEntry: bytes))
            } catch {
                errors.append(RedisError(.malformed, "a SchedulerEntry: \(error.reason.rawValue)"))
            }
        }
    }
}

extension RedisInfo {
    /// Of all nodes of a Cluster; absent where one does not say it, because a counter must not fall.
    func adding(_ other: RedisInfo) -> RedisInfo {
        func sum(_ value: KeyPath<RedisInfo, Int64?>) -> Int64? {
            guard let mine = self[keyPath: value], let others = other[keyPath: value] else { return nil }
            return mine &+ others
        }
        var total = RedisInfo()
        total.usedMemoryBytes = sum(\.usedMemoryBytes)
        total.maxMemoryBytes = sum(\.maxMemoryBytes)
        total.evictedKeys = sum(\.evictedKeys)
        total.connectedClients = sum(\.connectedClients)
        return total
    }

    /// Lines of `name:value`.
    mutating func read(_ section: String) {
        for line in section.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = Int64(line[line.index(after: colon)...])
            switch line[..<colon] {
            case "used_memory": usedMemoryBytes = value
            case "maxmemory": maxMemoryBytes = value
            case "evicted_keys": evictedKeys = value
            case "connected_clients": connectedClients = value
            default: continue
            }
        }
    }
}
