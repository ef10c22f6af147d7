import Model
import Platform
import Redis
import Synchronization
import TestSupport

@testable import AsynqDemo

/// A Redis with what the demo's shop needs: lists, sorted sets and flags, each by its key.
final class ShopRedis: Sendable {
    private struct State {
        var lists: [String: [String]] = [:]
        var scores: [String: [String: Int64]] = [:]
        var flags: Set<String> = []
        var queued: Int?
        var log: [[String]] = []

        mutating func answer(_ words: [String]) -> String {
            switch words[0] {
            case "EXISTS": return flags.contains(words[1]) ? ":1\r\n" : ":0\r\n"
            case "SETNX": flags.insert(words[1])
            case "DEL": flags.remove(words[1])
            case "LPUSH": lists[words[1], default: []].insert(words[2], at: 0)
            case "RPOPLPUSH":
                guard let id = lists[words[1]]?.popLast() else { return "$-1\r\n" }
                return "$\(id.utf8.count)\r\n\(id)\r\n"
            case "ZADD":
                let (score, id) = (words[words.count - 2], words[words.count - 1])
                if words[2] != "XX" || scores[words[1]]?[id] != nil {
                    scores[words[1], default: [:]][id] = Int64(score)
                }
            case "ZREM": scores[words[1]]?[words[2]] = nil
            case "ZRANGEBYSCORE":
                let ids = (scores[words[1]] ?? [:]).filter { $0.value <= Int64(words[3]) ?? 0 }.keys.sorted()
                return "*\(ids.count)\r\n" + ids.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
            default: break
            }
            return ":1\r\n"
        }
    }

    private let state = Mutex(State())

    /// A store over a connection to it, which ends with the body.
    func withStore(_ clock: TestClock, _ body: (AsynqStore) throws -> Void) throws {
        let redis = try FakeRedis { [self] _, words in .send(answer(words)) }
        let deadline = clock.clock.monotonic().advanced(by: .seconds(30))
        try body(
            AsynqStore(
                try RedisConnection(redis.endpoint, clock: clock.clock, deadline: deadline), clock: clock.clock))
    }

    private func answer(_ words: [String]) -> String {
        state.withLock { state in
            switch (words[0], state.queued) {
            case ("MULTI", _):
                state.queued = 0
                return "+OK\r\n"
            case ("EXEC", let count?):
                state.queued = nil
                return "*\(count)\r\n" + String(repeating: ":1\r\n", count: count)
            case (_, let count):
                state.log.append(words)
                let answer = state.answer(words)
                guard let count else { return answer }
                state.queued = count + 1
                return "+QUEUED\r\n"
            }
        }
    }

    /// The commands since the last call.
    func takeCommands() -> [[String]] {
        state.withLock { state in
            defer { state.log = [] }
            return state.log
        }
    }

    func push(_ id: String, to key: String) { state.withLock { $0.lists[key, default: []].insert(id, at: 0) } }

    func isPaused(_ queue: String) -> Bool { state.withLock { $0.flags.contains("asynq:{\(queue)}:paused") } }
}

extension [[String]] {
    /// The ids of the tasks that were put into queues, or ahead of them; a retry is none of them.
    var produced: [String] {
        filter { $0[0] == "HSET" && $0[2] == "msg" && ["pending", "scheduled"].contains($0[5]) }.map { $0[1] }
    }
}
