import Model
import ProtobufWire
import Redis

/// The servers' and schedulers' part of a scrape, and Redis' report on itself.
///
/// Asynq's own Inspector also deletes the stale members of the indexes; a scrape reads only. A member whose key is gone
/// (the server stopped, or its ten seconds are over) does not count as a live server.
struct ServerCommands {
    /// The number of live members of an index, or of entries of a scheduler, that are read; more are counted as a
    /// `limit` error.
    static let maxMembers = 5000

    /// The live servers, with the keys that the index names; nil where none of them could be read.
    private(set) var liveServers: [(key: [UInt8], server: ServerSnapshot)]?
    var servers: [ServerSnapshot]? { liveServers?.map(\.server) }
    /// The first reason why servers are missing; nil where all of them could be read.
    private(set) var serversProblem: String?
    /// The cron entries; nil where none of them could be read.
    private(set) var schedulerEntries: [SchedulerEntrySnapshot]?
    private(set) var cronProblem: String?
    private(set) var info = RedisInfo()
    /// The number of masters that `info` is the sum of.
    private(set) var nodeCount = 0
    private(set) var errors: [RedisError] = []
    /// The servers by the key that the index names.
    private(set) var serversByKey: [[UInt8]: ServerSnapshot] = [:]
    /// Redis' clock, by which the servers and schedulers are judged.
    private(set) var clock: RedisClock
    private let lastServers: [[UInt8]: ServerSnapshot]
    /// The keys of the servers; nil where the index could not be read.
    private(set) var serverKeys: [[UInt8]]?
    private var schedulerKeys: [[UInt8]]?

    /// Begins with what the scrape before saw (`last`, `clock`).
    init(last: [[UInt8]: ServerSnapshot] = [:], clock: RedisClock = RedisClock()) {
        lastServers = last
        self.clock = clock
    }

    // MARK: Round trip 1

    /// The questions of round trip 1.
    struct Indexes {
        let servers: Ask<[ScoredMember]>
        let schedulers: Ask<[ScoredMember]>
        let info: [Ask<[[UInt8]?]>]
        /// Redis' clock.
        let time: Ask<[Int64?]>?
        let infoServer: Ask<[[UInt8]?]>?
    }

    func addIndexes(to pipeline: inout RedisPipeline) -> Indexes {
        /// Asks for the latest members by rank: the same round trip tells the time there.
        func latest(_ index: [UInt8]) -> Ask<[ScoredMember]> {
            pipeline.zrangeWithScores(index, from: -(Self.maxMembers + 1), to: -1)
        }
        return Indexes(
            servers: latest(AsynqKeys.servers), schedulers: latest(AsynqKeys.schedulers),
            info: ["memory", "stats", "clients"].map { pipeline.info($0) },
            time: clock.source == .info ? nil : pipeline.time(),
            infoServer: clock.source == .time ? nil : pipeline.info("server"))
    }

    /// - Parameters:
    ///   - sent: The collector's clock before the round trip.
    ///   - received: The collector's clock after it.
    mutating func readIndexes(_ indexes: Indexes, _ replies: [RedisReply], sent: WallTime, received: WallTime) {
        readInfo(indexes, replies)
        let times = readTimes(indexes, replies)
        // It is the median of a Cluster's nodes: a single wrong clock is not followed.
        if !times.isEmpty {
            clock.record(microseconds: times.sorted()[times.count / 2], sent: sent, received: received)
        }
        let now = received.advanced(by: clock.correction).wholeSeconds
        serverKeys = live(
            read(indexes.servers, of: AsynqKeys.servers, replies, \.serversProblem), of: AsynqKeys.servers, at: now,
            \.serversProblem)
        schedulerKeys = live(
            read(indexes.schedulers, of: AsynqKeys.schedulers, replies, \.cronProblem), of: AsynqKeys.schedulers,
            at: now, \.cronProblem)
    }

    /// Reads INFO and TIME. They are optional: where an ACL forbids them, their metrics are absent and nothing is
    /// wrong.
    private mutating func readInfo(_ indexes: Indexes, _ replies: [RedisReply]) {
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

    /// Returns the times of the nodes' clocks.
    private mutating func readTimes(_ indexes: Indexes, _ replies: [RedisReply]) -> [Int64] {
        var times = indexes.time.map { (read($0, replies) ?? []).compactMap { $0 } } ?? []
        clock.source = times.isEmpty ? nil : .time
        if times.isEmpty, let ask = indexes.infoServer {
            times = (read(ask, replies) ?? []).compactMap { text in
                var info = RedisInfo()
                if let text { info.read(String(decoding: text, as: UTF8.self)) }
                return info.timeMicroseconds
            }
            clock.source = times.isEmpty ? nil : .info
        }
        return times
    }

    private mutating func live(
        _ members: [ScoredMember]?, of key: [UInt8], at now: Int64, _ problem: WritableKeyPath<Self, String?>
    ) -> [[UInt8]]? {
        guard let live = members?.filter({ $0.score >= now }) else { return nil }
        if live.count > Self.maxMembers {
            let what = "has more than \(Self.maxMembers) live members"
            errors.append(RedisError(.limit, "\(ForeignText(key).text) \(what)"))
            self[keyPath: problem] = self[keyPath: problem] ?? "\(ForeignText(key).text) \(what)"
        }
        return live.suffix(Self.maxMembers).map(\.member)
    }

    // MARK: Round trip 2

    /// The questions of round trip 2; nil where the index could not be read.
    struct Details {
        let servers: [(key: [UInt8], info: Ask<[UInt8]?>)]?
        let schedulers: [(key: [UInt8], entries: Ask<[[UInt8]]>)]?
    }

    func addDetails(to pipeline: inout RedisPipeline) -> Details {
        Details(
            servers: serverKeys?.map { ($0, pipeline.get($0)) },
            schedulers: schedulerKeys?.map { ($0, pipeline.lrange($0, from: 0, to: Self.maxMembers - 1)) })
    }

    mutating func readDetails(_ details: Details, _ replies: [RedisReply]) {
        let servers = details.servers?.compactMap { details in
            readServer(details.key, info: details.info, replies: replies).map { (details.key, $0) }
        }
        let entries = details.schedulers?.flatMap { readScheduler($0.key, list: $0.entries, replies: replies) }
        // Those that can't be read are unknown; without any others, so is whether there are any.
        liveServers = servers?.isEmpty == true && serversProblem != nil ? nil : servers
        schedulerEntries = entries?.isEmpty == true && cronProblem != nil ? nil : entries
    }

    private mutating func readServer(
        _ key: [UInt8], info: Ask<[UInt8]?>, replies: [RedisReply]
    ) -> ServerSnapshot? {
        do throws(RedisError) {
            // The index says that it lives, and only its node can't be asked: the last answer holds.
            guard let answer = try replies[info] else {
                serversByKey[key] = lastServers[key]
                if lastServers[key] == nil { serversProblem = serversProblem ?? Self.unanswered(key) }
                return lastServers[key]
            }
            guard let bytes = answer else { return nil }
            let server = try parse("a ServerInfo") { () throws(WireError) in try ServerSnapshot(serverInfo: bytes) }
            serversByKey[key] = server
            return server
        } catch {
            record(error, of: key, \.serversProblem)
            return nil
        }
    }

    private mutating func readScheduler(
        _ key: [UInt8], list: Ask<[[UInt8]]>, replies: [RedisReply]
    ) -> [SchedulerEntrySnapshot] {
        var entries: [SchedulerEntrySnapshot] = []
        for bytes in read(list, of: key, replies, \.cronProblem) ?? [] {
            do throws(RedisError) {
                entries.append(
                    try parse("a SchedulerEntry") { () throws(WireError) in
                        try SchedulerEntrySnapshot(schedulerEntry: bytes, scheduler: key)
                    })
            } catch {
                record(error, of: key, \.cronProblem)
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

    /// Returns what the reply says of a key; nil where it can't be read, which is a problem.
    private mutating func read<Value>(
        _ ask: Ask<Value>, of key: [UInt8], _ replies: [RedisReply], _ problem: WritableKeyPath<Self, String?>
    ) -> Value? {
        do throws(RedisError) {
            if let value = try replies[ask] { return value }
            self[keyPath: problem] = self[keyPath: problem] ?? Self.unanswered(key)
        } catch {
            record(error, of: key, problem)
        }
        return nil
    }

    /// Records an error. The problem that people read names the key; the log has one line for all keys that are alike.
    private mutating func record(_ error: RedisError, of key: [UInt8], _ problem: WritableKeyPath<Self, String?>) {
        errors.append(error)
        self[keyPath: problem] = self[keyPath: problem] ?? error.text(about: key)
    }

    private static func unanswered(_ key: [UInt8]) -> String {
        "\(ForeignText(key).printable): the node of the Cluster that has it does not answer"
    }

    /// Returns the reply; nil where the command failed, or was not answered.
    private mutating func read<Value>(_ ask: Ask<Value>, _ replies: [RedisReply]) -> Value? {
        do throws(RedisError) {
            return try replies[ask]
        } catch {
            errors.append(error)
            return nil
        }
    }
}
