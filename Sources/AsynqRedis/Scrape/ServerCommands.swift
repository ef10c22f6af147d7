import Model
import ProtobufWire
import Redis

/// The servers' and schedulers' part of a scrape, and what Redis says of itself.
///
/// Asynq's own Inspector also deletes the stale members of the indexes; a scrape reads only. A member whose key is gone
/// (the server stopped, or its ten seconds are over) is no live server.
struct ServerCommands {
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
    /// nil where the index could not be read.
    private var serverKeys: [[UInt8]]?
    private var schedulerKeys: [[UInt8]]?

    /// `last`: what the scrape before saw.
    init(last: [[UInt8]: ServerSnapshot] = [:]) {
        lastServers = last
    }

    // MARK: Round trip 1

    /// What round trip 1 asks.
    struct Indexes {
        let servers: Ask<[[UInt8]]>
        let schedulers: Ask<[[UInt8]]>
        let info: [Ask<[[UInt8]?]>]
    }

    func addIndexes(to pipeline: inout RedisPipeline, at now: WallTime) -> Indexes {
        func live(_ index: [UInt8]) -> Ask<[[UInt8]]> {
            pipeline.zrangeByScore(index, from: now.wholeSeconds, to: nil, limit: Self.maxMembers + 1)
        }
        return Indexes(
            servers: live(AsynqKeys.servers), schedulers: live(AsynqKeys.schedulers),
            info: ["memory", "stats", "clients"].map { pipeline.info($0) })
    }

    mutating func readIndexes(_ indexes: Indexes, _ replies: [RedisReply]) {
        serverKeys = members(read(indexes.servers, replies), of: "asynq:servers")
        schedulerKeys = members(read(indexes.schedulers, replies), of: "asynq:schedulers")
        // INFO is optional: where an ACL forbids it, its metrics are absent and nothing is wrong.
        let sections = indexes.info.map { read($0, replies) ?? [] }
        for node in 0..<(sections.map(\.count).min() ?? 0) {
            var info = RedisInfo()
            for section in sections {
                if let bytes = section[node] { info.read(String(decoding: bytes, as: UTF8.self)) }
            }
            self.info = node == 0 ? info : self.info.adding(info)
            nodeCount += 1
        }
    }

    private mutating func members(_ members: [[UInt8]]?, of key: String) -> [[UInt8]]? {
        guard let members else { return nil }
        if members.count > Self.maxMembers {
            errors.append(RedisError(.limit, "\(key) has more than \(Self.maxMembers) live members"))
        }
        return Array(members.prefix(Self.maxMembers))
    }

    // MARK: Round trip 2

    /// What round trip 2 asks; nil where the index could not be read.
    struct Details {
        let servers: [(key: [UInt8], info: Ask<[UInt8]?>)]?
        let schedulers: [(key: [UInt8], entries: Ask<[[UInt8]]>)]?
    }

    func addDetails(to pipeline: inout RedisPipeline) -> Details {
        Details(
            servers: serverKeys?.map { ($0, pipeline.get($0)) },
            schedulers: schedulerKeys?.map { ($0, pipeline.lrange($0, 0, Self.maxMembers - 1)) })
    }

    mutating func readDetails(_ details: Details, _ replies: [RedisReply]) {
        servers = details.servers?.compactMap { readServer($0.key, $0.info, replies) }
        schedulerEntries = details.schedulers?.flatMap { readScheduler($0.key, $0.entries, replies) }
    }

    private mutating func readServer(
        _ key: [UInt8], _ info: Ask<[UInt8]?>, _ replies: [RedisReply]
    ) -> ServerSnapshot? {
        do throws(RedisError) {
            // The index says that it lives, only its node can't be asked: what it said last holds.
            guard let answer = try replies[info] else {
                serversByKey[key] = lastServers[key]
                return lastServers[key]
            }
            guard let bytes = answer else { return nil }
            let server = try parse("a ServerInfo") { () throws(WireError) in try ServerSnapshot(serverInfo: bytes) }
            serversByKey[key] = server
            return server
        } catch {
            errors.append(error)
            return nil
        }
    }

    private mutating func readScheduler(
        _ key: [UInt8], _ list: Ask<[[UInt8]]>, _ replies: [RedisReply]
    ) -> [SchedulerEntrySnapshot] {
        var entries: [SchedulerEntrySnapshot] = []
        for bytes in read(list, replies) ?? [] {
            do throws(RedisError) {
                entries.append(
                    try parse("a SchedulerEntry") { () throws(WireError) in
                        try SchedulerEntrySnapshot(schedulerEntry: bytes, scheduler: key)
                    })
            } catch {
                errors.append(error)
            }
        }
        return entries
    }

    private func parse<Message>(
        _ what: String, _ read: () throws(WireError) -> Message
    ) throws(RedisError) -> Message {
        do throws(WireError) {
            return try read()
        } catch {
            throw RedisError(.malformed, "\(what): \(error.reason.rawValue)")
        }
    }

    /// What a command gave; nil where it failed, or was not answered.
    private mutating func read<Value>(_ ask: Ask<Value>, _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            errors.append(error)
            return nil
        }
    }
}
