import Model
import ProtobufWire
import Redis
import Testing

@testable import AsynqRedis

@Suite("What the servers' replies mean")
struct ServerCommandsTests {
    private static let now = WallTime(seconds: 1_700_000_000)

    private static func text(_ text: String) -> RedisReply { .string(Array(text.utf8)) }
    /// Members of an index that live still for a while.
    private static func list(_ texts: String...) -> RedisReply { index(texts.map { ($0, now.wholeSeconds + 5) }) }

    private static func index(_ members: [(String, Int64)]) -> RedisReply {
        .array(members.flatMap { [text($0.0), text(String($0.1))] })
    }

    private static func info(_ host: String) -> [UInt8] {
        var writer = WireWriter()
        writer.string(ServerInfoField.host.rawValue, host)
        writer.int(ServerInfoField.pid.rawValue, 7)
        writer.string(ServerInfoField.serverID.rawValue, "id")
        writer.int(ServerInfoField.concurrency.rawValue, 10)
        for name in ["low", "high"] {
            writer.message(ServerInfoField.queues.rawValue) {
                $0.int(MapEntryField.value.rawValue, 3)
                $0.string(MapEntryField.key.rawValue, name)
            }
        }
        writer.string(ServerInfoField.status.rawValue, "active")
        writer.message(ServerInfoField.startTime.rawValue) {
            $0.int(TimestampField.seconds.rawValue, now.wholeSeconds - 60)
        }
        writer.int(ServerInfoField.activeWorkers.rawValue, 4)
        // Of a newer version.
        writer.string(99, "unknown")
        return writer.bytes
    }

    private static func entry(next: Int64, previous: Int64) -> [UInt8] {
        var writer = WireWriter()
        writer.string(SchedulerEntryField.id.rawValue, "entry")
        writer.string(SchedulerEntryField.spec.rawValue, "@every 1m")
        writer.string(SchedulerEntryField.taskType.rawValue, "mail")
        writer.message(SchedulerEntryField.nextEnqueueTime.rawValue) { $0.int(TimestampField.seconds.rawValue, next) }
        writer.message(SchedulerEntryField.previousEnqueueTime.rawValue) {
            $0.int(TimestampField.seconds.rawValue, previous)
        }
        return writer.bytes
    }

    private static func scrape(
        servers: RedisReply = list(), schedulers: RedisReply = list(),
        info: [RedisReply] = [.array([]), .array([]), .array([])], times: [String] = [], time: RedisReply = .array([]),
        details: [RedisReply] = [], last: [[UInt8]: ServerSnapshot] = [:], clock: RedisClock = RedisClock()
    ) -> ServerCommands {
        var scrape = ServerCommands(last: last, clock: clock)
        var pipeline = RedisPipeline()
        pipeline.add("PING")
        let indexes = scrape.addIndexes(to: &pipeline)
        scrape.readIndexes(
            indexes, [.null, servers, schedulers] + info + [time, .array(times.map { text($0) })], sent: now,
            received: now)
        var second = RedisPipeline()
        second.add("PING")
        let asked = scrape.addDetails(to: &second)
        scrape.readDetails(asked, [.null] + details)
        return scrape
    }

    @Test("Each field of a server is read; unknown ones are passed over")
    func server() {
        let scrape = Self.scrape(servers: Self.list("asynq:servers:{a}"), details: [.string(Self.info("a"))])
        var expected = ServerSnapshot(
            host: ForeignText("a"), pid: 7, id: ForeignText("id"), concurrency: 10,
            queues: [ForeignText("low"), ForeignText("high")], status: ForeignText("active"), busyWorkers: 4)
        expected.priorities = [ForeignText("low"): 3, ForeignText("high"): 3]
        expected.startedAt = WallTime(seconds: Self.now.wholeSeconds - 60)
        #expect(scrape.servers == [expected] && scrape.errors.isEmpty)
        #expect(scrape.serversByKey == [Array("asynq:servers:{a}".utf8): expected])
    }

    @Test("One server that can't be read costs itself; one whose key is gone is none, and no error")
    func oneBad() {
        let names = (0..<5).map { "asynq:servers:{\($0)}" }
        let scrape = Self.scrape(
            servers: Self.index(names.map { ($0, Self.now.wholeSeconds) }),
            details: [
                .error("WRONGTYPE no text"), .string([0x0A, 0x7F]), .null, .integer(3), .string(Self.info("good")),
            ])
        #expect(scrape.servers?.map(\.host) == [ForeignText("good")])
        #expect(scrape.serversProblem == "asynq:servers:{0}: Redis: WRONGTYPE no text")
        #expect(scrape.errors.map(\.reason) == [.wrongType, .malformed, .malformed])
    }

    @Test("A server whose node does not answer is what it was; one never seen is unknown")
    func unanswered() throws {
        let known = Array("asynq:servers:{known}".utf8)
        let last = try ServerSnapshot(serverInfo: Self.info("known"))
        let scrape = Self.scrape(
            servers: Self.list("asynq:servers:{known}", "asynq:servers:{new}"), details: [.unanswered, .unanswered],
            last: [known: last])
        #expect(scrape.servers == [last] && scrape.errors.isEmpty)
        #expect(scrape.serversProblem == "asynq:servers:{new}: the node of the Cluster that has it does not answer")
        #expect(scrape.serversByKey == [known: last])
    }

    @Test("An index that can't be read leaves its list unknown, not empty")
    func indexes() {
        let refused = Self.scrape(servers: .error("NOPERM no"), schedulers: .error("WRONGTYPE no"))
        #expect(refused.servers == nil && refused.schedulerEntries == nil)
        #expect(refused.errors.map(\.reason) == [.permission, .wrongType])
        #expect(refused.serversProblem?.hasPrefix("asynq:servers: Redis: NOPERM no") == true)
        #expect(refused.cronProblem == "asynq:schedulers: Redis: WRONGTYPE no")
        let unanswered = Self.scrape(servers: .unanswered, schedulers: .unanswered)
        #expect(unanswered.servers == nil && unanswered.schedulerEntries == nil && unanswered.errors.isEmpty)
        #expect(unanswered.serversProblem != nil && unanswered.cronProblem != nil)
        let empty = Self.scrape()
        #expect(empty.servers == [] && empty.schedulerEntries == [])
        #expect(empty.serversProblem == nil && empty.cronProblem == nil)
    }

    @Test("Servers and entries of which none can be read are unknown, not none; one whose key is gone is none")
    func allBad() {
        let bad = [RedisReply.error("NOPERM no"), .string([0x0A, 0x7F]), .unanswered]
        for reply in bad {
            let scrape = Self.scrape(
                servers: Self.list("asynq:servers:{a}", "asynq:servers:{b}"),
                schedulers: Self.list("asynq:schedulers:{c}"),
                details: [.null, reply, reply == .string([0x0A, 0x7F]) ? .array([reply]) : reply])
            #expect(scrape.servers == nil && scrape.serversProblem?.hasPrefix("asynq:servers:{b}: ") == true)
            #expect(scrape.schedulerEntries == nil && scrape.cronProblem?.hasPrefix("asynq:schedulers:{c}: ") == true)
        }
        let gone = Self.scrape(servers: Self.list("asynq:servers:{a}"), details: [.null])
        #expect(gone.servers == [] && gone.serversProblem == nil)
    }

    @Test("More live servers than are looked at are counted as a limit")
    func limit() {
        func scrape(_ count: Int) -> ServerCommands {
            Self.scrape(
                servers: Self.index((0..<count).map { ("asynq:servers:{\($0)}", Self.now.wholeSeconds) }),
                details: Array(repeating: .null, count: ServerCommands.maxMembers))
        }
        #expect(scrape(ServerCommands.maxMembers).errors.isEmpty)
        #expect(scrape(ServerCommands.maxMembers + 1).errors.map(\.reason) == [.limit])
        #expect(scrape(ServerCommands.maxMembers + 1).serversProblem == "asynq:servers has more than 5000 live members")
    }

    @Test("A scheduler's entries are read, each by itself; never is Go's zero time")
    func entries() {
        let scrape = Self.scrape(
            schedulers: Self.list("asynq:schedulers:{a}", "asynq:schedulers:{b}"),
            details: [
                .array([
                    .string(Self.entry(next: 1_700_000_060, previous: -62_135_596_800)), .string([0x0A, 0x7F]),
                    .string(Self.entry(next: 0, previous: 1_700_000_000)),
                ]), .error("WRONGTYPE no list"),
            ])
        #expect(scrape.schedulerEntries?.map(\.nextEnqueue) == [WallTime(seconds: 1_700_000_060), nil])
        #expect(scrape.schedulerEntries?.map(\.previousEnqueue) == [nil, WallTime(seconds: 1_700_000_000)])
        #expect(scrape.schedulerEntries?.first?.spec == ForeignText("@every 1m"))
        #expect(
            scrape.schedulerEntries?.map(\.scheduler) == [
                Array("asynq:schedulers:{a}".utf8), Array("asynq:schedulers:{a}".utf8),
            ])
        #expect(scrape.errors.map(\.reason) == [.malformed, .wrongType])
        #expect(scrape.cronProblem?.hasPrefix("asynq:schedulers:{a}: a SchedulerEntry: ") == true)
    }

    @Test("INFO of several nodes is their sum; what one of them does not say is absent")
    func info() {
        let memory = RedisReply.array(["used_memory:5\r\nmaxmemory:7\r\n", "used_memory:10\r\n"].map { Self.text($0) })
        let stats = RedisReply.array(["evicted_keys:1\r\n", "evicted_keys:2\r\n"].map { Self.text($0) })
        let clients = RedisReply.array([Self.text("connected_clients:3\r\n"), .error("NOPERM no")])
        let scrape = Self.scrape(info: [memory, stats, clients])
        #expect(scrape.nodeCount == 2 && scrape.errors.isEmpty)
        #expect(scrape.info.usedMemoryBytes == 15 && scrape.info.evictedKeys == 3)
        #expect(scrape.info.maxMemoryBytes == nil && scrape.info.connectedClients == nil)
    }

    /// Redis' clock, so many seconds from ours.
    private static func info(ahead seconds: Int64) -> String {
        "server_time_usec:\((now.wholeSeconds + seconds) * 1_000_000)\r\n"
    }

    @Test(
        "Servers and schedulers live up to their second by Redis' clock, whatever ours says",
        arguments: [0, 15, -15, 40, 3600, -86_400] as [Int64])
    func liveness(redisAhead seconds: Int64) {
        let now = Self.now.wholeSeconds + seconds
        let index = Self.index([
            ("asynq:servers:{a}", now - 1), ("asynq:servers:{b}", now), ("asynq:servers:{c}", now + 9),
        ])
        let info = RedisReply.string(Self.info("a"))
        let scrape = Self.scrape(
            servers: index, schedulers: index, times: [Self.info(ahead: seconds)],
            details: [info, info, .array([]), .array([])])
        #expect(scrape.serverKeys == ["asynq:servers:{b}", "asynq:servers:{c}"].map { Array($0.utf8) })
        #expect(scrape.servers?.count == 2 && scrape.schedulerEntries == [])
        #expect(scrape.clock.offset == .seconds(seconds) && scrape.clock.source == .info)
    }

    @Test("TIME tells the clock, else INFO; where neither may be asked, our clock is used")
    func time() {
        let micro = RedisReply.array([Self.text(String(Self.now.wholeSeconds + 15)), Self.text("500000")])
        let asked = Self.scrape(servers: Self.list("asynq:servers:{a}"), time: .array([micro]))
        #expect(asked.clock.offset == .milliseconds(15_500) && asked.serverKeys == [] && asked.clock.source == .time)
        let forbidden = Self.scrape(
            servers: Self.list("asynq:servers:{a}"), time: .array([.error("NOPERM no")]), details: [.null])
        #expect(
            forbidden.clock.offset == nil && forbidden.clock.source == nil && forbidden.serverKeys?.count == 1
                && forbidden.errors.isEmpty)
        // Of three nodes the one in the middle.
        let nodes = Self.scrape(times: [2, 500, 1].map { Self.info(ahead: $0) })
        #expect(nodes.clock.offset == .seconds(2))
    }
}

@Suite("Redis' clock")
struct RedisClockTests {
    private static func time(_ microseconds: Int64) -> WallTime { WallTime(nanoseconds: microseconds * 1000 + 999) }

    @Test("The offset moves only where what Redis says contradicts it")
    func offset() {
        var clock = RedisClock()
        func record(_ redis: Int64, _ sent: Int64, _ received: Int64) -> Duration? {
            clock.record(microseconds: redis, sent: Self.time(sent), received: Self.time(received))
            return clock.offset
        }
        #expect(record(1000, 1000, 1000) == .zero)
        #expect(record(1_500_000, 0, 2_000_000) == .zero, "a slow round trip says little")
        #expect(record(15_000_100, 0, 200) == .seconds(15))
        #expect(record(15_000_900, 0, 1000) == .seconds(15))
        #expect(record(14_000_000, 0, 2000) == .microseconds(13_999_000))
    }

    @Test("More than a day is no drift: the offset is told, and nothing is corrected by it")
    func largest() {
        var clock = RedisClock()
        #expect(clock.correction == .zero && !clock.isOff)
        let ours: Int64 = 1_700_000_000
        for (seconds, correction) in [(86_400, 86_400), (86_401, 0), (-86_401, 0), (2, 2)] as [(Int64, Int64)] {
            let now = Self.time(ours * 1_000_000)
            clock.record(microseconds: (ours + seconds) * 1_000_000, sent: now, received: now)
            #expect(clock.offset == .seconds(seconds) && clock.correction == .seconds(correction))
            #expect(clock.isOff == (seconds != 2))
        }
    }

    @Test("What can't be a time changes nothing", arguments: [Int64.min, -1, 9_000_000_000_000_000, .max])
    func implausible(microseconds: Int64) {
        var clock = RedisClock()
        clock.record(microseconds: 15_000_000, sent: Self.time(0), received: Self.time(0))
        clock.record(microseconds: microseconds, sent: Self.time(0), received: Self.time(0))
        #expect(clock.offset == .seconds(15))
    }
}
