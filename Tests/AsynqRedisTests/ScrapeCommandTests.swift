import Model
import Platform
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Redis

@Suite("The commands of a scrape")
struct ScrapeCommandTests {
    private enum Load {
        case empty
        /// Tasks that are done, or dead.
        case archive
        /// Something of all that there can be.
        case busy
    }

    /// A Redis with one queue, one server and one scheduler, which remembers what it was asked.
    private final class RecordingClient: RedisClient {
        typealias Sent = (roundTrip: Int, command: String)

        var sent: [Sent] = []
        private let load: Load
        private var roundTrips = 0
        private var isBusy: Bool { load == .busy }

        init(_ load: Load) {
            self.load = load
        }

        func prepare(deadline: MonotonicTime) throws(RedisError) {
            roundTrips = 0
            sent = []
        }

        func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
            roundTrips += 1
            return (0..<pipeline.count).map { index in
                let words = Self.words(pipeline.bytes(of: index))
                let command = Self.command(words)
                sent.append((roundTrips, command))
                let answer = answer(command, words)
                return pipeline.commands[index].route == .everyNode ? .array([answer]) : answer
            }
        }

        private static func words(_ bytes: ArraySlice<UInt8>) -> [String] {
            let lines = String(decoding: bytes, as: UTF8.self).split(
                separator: "\r\n", omittingEmptySubsequences: false)
            return stride(from: 2, to: lines.count, by: 2).map { String(lines[$0]) }
        }

        /// As the document writes it.
        private static func command(_ words: [String]) -> String {
            guard words.count > 1 else { return words[0] }
            let key = words[1]
            if key.hasPrefix("asynq:scheduler_history:") { return words[0] + " asynq:scheduler_history:<entry>" }
            guard key.hasPrefix("asynq:{q}:") else {
                // In braces is which server or scheduler it is.
                let kind = key.prefix { $0 != "{" }
                return "\(words[0]) \(kind)" + (kind == key ? "" : "{…}")
            }
            let suffix = key.dropFirst("asynq:{q}:".count)
            if suffix.hasPrefix("t:") { return words[0] + " t:<id>" }
            if suffix.hasPrefix("g:") { return words[0] + " g:<group>" }
            return "\(words[0]) \(suffix)" + (words[0] == "LINDEX" ? " " + words[2] : "")
        }

        private func answer(_ command: String, _ words: [String]) -> RedisReply {
            func list(_ texts: [String]) -> RedisReply { .array(texts.map { .string(Array($0.utf8)) }) }
            switch command {
            case "SMEMBERS asynq:queues": return list(["q"])
            case "ZRANGE asynq:servers": return list(["asynq:servers:{h:1:s}", "1e+10"])
            case "ZRANGE asynq:schedulers": return list(["asynq:schedulers:{h:1:s}", "1e+10"])
            case "ZRANGEBYSCORE lease" where isBusy: return list(["a", "1"])
            case "ZRANGE archived" where isBusy: return list(["old", "1"])
            case "ZRANGEBYSCORE archived" where isBusy && roundTrips == 2:
                return list((0..<1000).flatMap { ["id \($0)", "100"] })
            // An entry of a scheduler, with nothing but its id.
            case "LRANGE asynq:schedulers:{…}" where isBusy: return list(["\n\u{1}e"])
            case "LINDEX pending -32", "LINDEX pending -256", "LINDEX pending -1": return .null
            case "HMGET t:<id>": return list(["pending", "1"])
            case "HSTRLEN asynq:workers:{…}": return .integer(7)
            // A worker of queue q that began at second 1.
            case "HMGET asynq:workers:{…}": return list([":\u{1}qB\u{2}\u{8}\u{1}"])
            case "ZCARD archived" where load == .archive, "ZCARD completed" where load == .archive: return .integer(2)
            default: break
            }
            switch words[0] {
            case "LLEN", "ZCARD", "ZCOUNT", "SCARD", "EXISTS": return .integer(isBusy ? 300 : 0)
            case "GET", "INFO": return .null
            case "MGET": return .array([.null, .null])
            default: return list(isBusy ? ["a"] : [])
            }
        }
    }

    /// What scrapes ask: the first one, which takes what is there for known, a later one, and one of what rests by then.
    private static func scrapes(_ load: Load) throws -> [[RecordingClient.Sent]] {
        let client = RecordingClient(load)
        var scraper = QueueScraper(filter: .all, clock: .system)
        return try (0..<3).map { _ in
            try client.prepare(deadline: .soon)
            _ = try scraper.scrape(client, deadline: .soon)
            return client.sent
        }
    }

    private static func lines(_ sent: [RecordingClient.Sent]) -> [String] {
        sent.map { "\($0.roundTrip) \($0.command)" }
    }

    @Test("The document lists each command that a scrape can send, and no other")
    func table() throws {
        let documented = try ScrapeCommand.documented().map { "\($0.roundTrip) \($0.command)" }
        let sent = try [Load.busy, .archive].flatMap { try Self.scrapes($0) }.flatMap(Self.lines)
        #expect(Set(sent) == Set(documented))
        #expect(Set(documented).count == documented.count)
    }

    @Test("A queue with nothing in it is asked what the document says of each queue, once")
    func idleQueue() throws {
        // No scrape learns anything of the server or of Redis' clock, so that the later ones are like the first.
        func documented(_ each: String...) throws -> [String] {
            try ScrapeCommand.documented().filter { each.contains($0.each) && $0.isDefault }
                .map { "\($0.roundTrip) \($0.command)" }
        }
        let ofOthers = try documented("scrape", "node", "server", "scheduler")
        let each = try ofOthers + documented("queue")
        let scrapes = try Self.scrapes(.empty).map(Self.lines)
        #expect(scrapes[0].sorted() == (each + ["2 ZRANGE archived"]).sorted())
        #expect(scrapes[1].sorted() == (each + ["2 ZRANGEBYSCORE archived"]).sorted())
        #expect(scrapes[2].sorted() == (ofOthers + ["1 EXISTS pending", "1 MGET processed"]).sorted())
    }

    @Test("The document states the bounds of a scrape and of a look-ahead sample as they are")
    func bounds() throws {
        let documented = try ScrapeCommand.bounds()
        let bounds = [
            "groups of a queue": Int(QueueCommands.maxGroups),
            "expired leases and active tasks of a queue": QueueCommands.maxActive,
            "new dead letters of a queue in one scrape": ArchiveArrivals.maxMembers,
            "servers": ServerCommands.maxMembers, "cron entries": ServerCommands.maxMembers,
            "running tasks": RunningTasks.maxTasks, "tasks looked at": LookAheadSampler.maxTasks,
            "tasks asked for because they have come or gone": LookAheadSampler.maxAskedTasks,
            "running tasks whose exact start is awaited": LookAheadSampler.maxRunning,
        ]
        for (what, bound) in bounds { #expect(documented[what] == bound, "\(what)") }
    }

    @Test("The user that the document describes may run them all")
    func permissions() throws {
        let needed = Set(try ScrapeCommand.documented().map { $0.name.lowercased() })
        #expect(needed.subtracting(try ScrapeCommand.allowed()).isEmpty)
    }
}
