import Model

@testable import AsynqRedis
@testable import Redis

/// The tasks of some queues in memory, for what reads them; it remembers what it was asked.
final class TaskStore: RedisClient {
    var lists: [String: [String]] = [:]
    var hashes: [String: [String: [UInt8]]] = [:]
    var scores: [String: [String: Int64]] = [:]
    /// Replies that are given instead, by command and key.
    var instead: [String: RedisReply] = [:]
    /// The commands of each round trip.
    private(set) var asked: [[String]] = []
    /// Fails when it is asked the next time but so many.
    var failsAfter: Int?

    func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        if let left = failsAfter {
            failsAfter = left - 1
            if left == 0 {
                failsAfter = nil
                throw RedisError(.timeout, "broken off")
            }
        }
        let commands = (0..<pipeline.count).map { Self.words(pipeline.bytes(of: $0)) }
        asked.append(commands.map { $0.joined(separator: " ") })
        return commands.map { words in
            instead[words.prefix(2).joined(separator: " ")]
                ?? (words.count < 2 ? .array([]) : answer(words[0], words[1], Array(words.dropFirst(2))))
        }
    }

    private static func words(_ bytes: ArraySlice<UInt8>) -> [String] {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        return stride(from: 2, to: lines.count, by: 2).map { String(lines[$0]) }
    }

    private func answer(_ command: String, _ key: String, _ arguments: [String]) -> RedisReply {
        switch command {
        case "LRANGE":
            let list = lists[key] ?? []
            let (first, last) = (Int(arguments[0]) ?? 0, Int(arguments[1]) ?? -1)
            let part = first < 0 ? list.suffix(-first) : list.dropFirst(first).prefix(last - first + 1)
            return .array(part.map { .string(Array($0.utf8)) })
        case "EXISTS":
            return .integer(Int64(([key] + arguments).count { lists[$0]?.isEmpty == false }))
        case "HMGET":
            return .array(arguments.map { (hashes[key]?[$0]).map { .string($0) } ?? .null })
        case "HSTRLEN": return .integer(Int64(hashes[key]?[arguments[0]]?.count ?? 0))
        case "ZRANGE" where arguments[0] == "0":
            let ranked = (scores[key] ?? [:]).sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            let part = ranked.prefix((Int(arguments[1]) ?? 0) + 1)
            return .array(part.flatMap { [.string(Array($0.key.utf8)), .string(Array(String($0.value).utf8))] })
        case "ZMSCORE":
            return .array(arguments.map { (scores[key]?[$0]).map { .string(Array(String($0).utf8)) } ?? .null })
        default: return .error("ERR unknown command")
        }
    }

    // MARK: What Asynq does

    func push(_ id: String, queue: String = "q", since: WallTime, message: [UInt8]? = nil) {
        hashes["asynq:{\(queue)}:t:\(id)"] = ["state": Array("pending".utf8), "pending_since": since.text]
        hashes["asynq:{\(queue)}:t:\(id)"]?["msg"] = message
        lists["asynq:{\(queue)}:pending", default: []].insert(id, at: 0)
    }

    func start(_ id: String, queue: String = "q", leaseUntil: Int64) {
        lists["asynq:{\(queue)}:pending"]?.removeAll { $0 == id }
        lists["asynq:{\(queue)}:active", default: []].insert(id, at: 0)
        hashes["asynq:{\(queue)}:t:\(id)"]?["state"] = Array("active".utf8)
        hashes["asynq:{\(queue)}:t:\(id)"]?["pending_since"] = nil
        scores["asynq:{\(queue)}:lease", default: [:]][id] = leaseUntil
    }

    func finish(_ id: String, queue: String = "q") {
        lists["asynq:{\(queue)}:pending"]?.removeAll { $0 == id }
        lists["asynq:{\(queue)}:active"]?.removeAll { $0 == id }
        hashes["asynq:{\(queue)}:t:\(id)"] = nil
        scores["asynq:{\(queue)}:lease"]?[id] = nil
    }
}

extension WallTime {
    fileprivate var text: [UInt8] { Array(String(nanoseconds).utf8) }
}
