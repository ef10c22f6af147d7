import Model
import ProtobufWire
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("The longest running task of each queue")
struct RunningTasksTests {
    private static let now = WallTime(seconds: 1_700_000_000)
    private static let deadline = MonotonicTime(nanoseconds: .max)
    private static let server = Array("asynq:servers:{a}".utf8)

    private static func list(_ texts: [String]) -> RedisReply { .array(texts.map { .string(Array($0.utf8)) }) }

    /// A `WorkerInfo`, as Asynq orders its fields.
    private static func worker(
        _ queue: String?, startedAgo seconds: Int64?, payload: Int = 0, nanoseconds: Int64 = 0
    ) -> [UInt8] {
        var writer = WireWriter()
        writer.string(WorkerInfoField.taskID.rawValue, "the key of the hash says it")
        writer.string(WorkerInfoField.taskType.rawValue, "mail")
        writer.data(WorkerInfoField.taskPayload.rawValue, [UInt8](repeating: 7, count: payload))
        if let queue { writer.string(WorkerInfoField.queue.rawValue, queue) }
        if let seconds {
            writer.message(WorkerInfoField.startTime.rawValue) {
                $0.int(TimestampField.seconds.rawValue, now.wholeSeconds - seconds)
                $0.int(TimestampField.nanoseconds.rawValue, nanoseconds)
            }
        }
        writer.message(WorkerInfoField.deadline.rawValue) { $0.int(TimestampField.seconds.rawValue, 1) }
        return writer.bytes
    }

    /// What one scrape makes of the servers' hashes; `asks` has the fields that each round trip has read.
    private static func read(
        _ running: inout RunningTasks, _ hashes: [String: [String: [UInt8]]]
    ) -> (longest: [QueueName: Duration], asks: [Int]) {
        let store = TaskStore()
        store.hashes = hashes
        for (key, hash) in hashes { store.instead["HKEYS \(key)"] = list(hash.keys.sorted()) }
        let servers = hashes.keys.map { Array($0.replacing("workers", with: "servers").utf8) }
        var second = RedisPipeline()
        let lists = running.addLists(of: servers, to: &second)
        running.readLists(lists, (try? store.roundTrip(second, deadline: deadline)) ?? [])
        var third = RedisPipeline()
        let asks = running.addTasks(to: &third)
        running.readTasks(asks, (try? store.roundTrip(third, deadline: deadline)) ?? [])
        running.readMore(store, deadline: deadline)
        let fields = store.asked.dropFirst().map { commands in
            commands.reduce(0) { $1.hasPrefix("HMGET") ? $0 + $1.split(separator: " ").count - 2 : $0 }
        }
        return (running.longest(at: now), fields.filter { $0 > 0 })
    }

    @Test("What runs is listed by server, the longest first, and a task is found with its server")
    func listed() throws {
        var running = RunningTasks()
        _ = Self.read(
            &running,
            [
                "asynq:workers:{a}": [
                    "new": Self.worker("q", startedAgo: 5), "old": Self.worker("r", startedAgo: 50),
                    "no start": Self.worker("q", startedAgo: nil),
                ],
                "asynq:workers:{b}": ["new": Self.worker("r", startedAgo: 1)],
            ])
        let listed = running.listed()
        let (a, b) = (Self.server, Array("asynq:servers:{b}".utf8))
        #expect(Set(listed.keys) == [a, b])
        #expect(listed[a]?.map(\.id.text) == ["old", "new"] && listed[b]?.map(\.id.text) == ["new"])
        let old = try #require(listed[a]?.first)
        #expect(old.queue == QueueName("r") && old.type == TaskType("mail") && old.deadlineAt == WallTime(seconds: 1))
        #expect(old.startedAt == WallTime(seconds: Self.now.wholeSeconds - 50))
        let found = running.find(TaskName(queue: QueueName("r"), id: Array("new".utf8)))
        #expect(found?.server == b && found?.task.startedAt == WallTime(seconds: Self.now.wholeSeconds - 1))
        #expect(running.find(TaskName(queue: QueueName("q"), id: Array("old".utf8))) == nil)
    }

    @Test("Where a server's tasks can't be read, that is named, and they are listed no more")
    func unreadTasks() {
        var running = RunningTasks()
        let store = TaskStore()
        store.instead["HKEYS asynq:workers:{a}"] = Self.list(["a"])
        store.instead["HSTRLEN asynq:workers:{a}"] = .error("WRONGTYPE no hash")
        var second = RedisPipeline()
        let lists = running.addLists(of: [Self.server], to: &second)
        running.readLists(lists, (try? store.roundTrip(second, deadline: Self.deadline)) ?? [])
        var third = RedisPipeline()
        let asks = running.addTasks(to: &third)
        running.readTasks(asks, (try? store.roundTrip(third, deadline: Self.deadline)) ?? [])
        #expect(running.error?.reason == .wrongType && running.listed().isEmpty)
        running.readMore(store, deadline: Self.deadline)
        #expect(store.asked.count == 2, "there is nothing more to read")
    }

    @Test("Of very many running tasks those are listed that have run for longest, within a megabyte")
    func listedWithinBytes() {
        var running = RunningTasks()
        let tasks = (0..<9000).map { number in
            (String(repeating: "x", count: 300) + "\(number)", Self.worker("q", startedAgo: Int64(number)))
        }
        let hash = Dictionary(uniqueKeysWithValues: tasks)
        let longest = TaskName(queue: QueueName("q"), id: Array((String(repeating: "x", count: 300) + "8999").utf8))
        for _ in 0..<20 where running.find(longest) == nil { _ = Self.read(&running, ["asynq:workers:{a}": hash]) }
        let listed = running.listed()[Self.server] ?? []
        #expect(listed.count > 1000 && listed.count < 4000 && listed.allSatisfy { $0.id.bytes.count == 256 })
        #expect(listed.map(\.startedAt) == listed.map(\.startedAt).sorted())
        #expect(listed.first?.startedAt == WallTime(seconds: Self.now.wholeSeconds - 8999))
    }

    @Test("It is the earliest start over all servers, for each queue that a worker serves")
    func longest() {
        var running = RunningTasks()
        let found = Self.read(
            &running,
            [
                "asynq:workers:{a}": [
                    "1": Self.worker("mail", startedAgo: 5),
                    "2": Self.worker("mail", startedAgo: 90, nanoseconds: 500_000_000),
                ],
                "asynq:workers:{b}": [
                    "3": Self.worker("mail", startedAgo: 7), "4": Self.worker("a } b", startedAgo: 3600),
                    "5": Self.worker("ahead", startedAgo: -2),
                ],
                "asynq:workers:{idle}": [:],
            ])
        #expect(running.error == nil)
        #expect(
            found.longest == [
                QueueName("mail"): .milliseconds(89_500), QueueName("a } b"): .seconds(3600), QueueName("ahead"): .zero,
            ])
        #expect(Self.read(&running, ["asynq:workers:{a}": [:]]).longest.isEmpty, "all of them have ended")
    }

    @Test("A task that runs again under its id has the start of its new run")
    func sameID() {
        var running = RunningTasks()
        let key = "asynq:workers:{a}"
        #expect(
            Self.read(&running, [key: ["poll": Self.worker("q", startedAgo: 50)]]).longest[QueueName("q")]
                == .seconds(50))
        #expect(
            Self.read(&running, [key: ["poll": Self.worker("q", startedAgo: 2)]]).longest[QueueName("q")] == .seconds(2)
        )
    }

    @Test("What can't be read costs itself, and is one error")
    func unreadable() {
        var running = RunningTasks()
        let found = Self.read(
            &running,
            [
                "asynq:workers:{a}": [
                    "1": [0x0A, 0x7F], "2": [0x3A, 0x7F], "3": Self.worker(nil, startedAgo: 99),
                    "4": Self.worker("q", startedAgo: nil), "5": Self.worker("q", startedAgo: 4),
                ]
            ])
        #expect(found.longest == [QueueName("q"): .seconds(4)])
        #expect(running.error?.reason == .malformed)

        var pipeline = RedisPipeline()
        let lists = running.addLists(of: [Self.server, Array("asynq:servers:{b}".utf8)], to: &pipeline)
        running.readLists(lists, [.error("NOPERM no HKEYS"), .error("WRONGTYPE no hash")])
        #expect(running.longest(at: Self.now).isEmpty)
        #expect(running.error?.reason == .permission)
    }

    @Test("While a node can't be asked, what ran there still runs")
    func unanswered() throws {
        var running = RunningTasks()
        _ = Self.read(&running, ["asynq:workers:{a}": ["1": Self.worker("q", startedAgo: 30)]])
        var pipeline = RedisPipeline()
        let lists = running.addLists(of: [Self.server], to: &pipeline)
        running.readLists(lists, [.unanswered])
        var details = RedisPipeline()
        let asks = running.addTasks(to: &details)
        running.readTasks(asks, [.unanswered])
        #expect(running.longest(at: WallTime(seconds: 1_700_000_010)) == [QueueName("q"): .seconds(40)])
        running.readLists(lists, [Self.list(["1", "2"])])
        let silent = TaskStore()
        silent.instead["HSTRLEN asynq:workers:{a}"] = .integer(9)
        silent.instead["HMGET asynq:workers:{a}"] = .unanswered
        running.readMore(silent, deadline: Self.deadline)
        #expect(silent.asked.count == 2, "it is not asked again in this scrape")
        #expect(running.error == nil)
    }

    @Test("20,000 running tasks of all servers together are no error; of one more it is said that there are too many")
    func tooMany() {
        for (count, reason) in [(20_000, nil), (20_001, .limit)] as [(Int, ScrapeErrorReason?)] {
            var running = RunningTasks()
            var pipeline = RedisPipeline()
            let lists = running.addLists(of: [Self.server, Array("asynq:servers:{b}".utf8)], to: &pipeline)
            let ids = (0..<count).map { "\($0)" }
            running.readLists(lists, [Self.list(Array(ids[..<12_000])), Self.list(Array(ids[12_000...]))])
            #expect(running.error?.reason == reason)
        }
    }

    @Test("All tasks of a first scrape are measured and read, and read again by the next one")
    func firstScrape() {
        var running = RunningTasks()
        let hash = Dictionary(
            uniqueKeysWithValues: (1...500).map { ("\($0)", Self.worker("q", startedAgo: Int64($0), payload: 100)) })
        let found = Self.read(&running, ["asynq:workers:{a}": hash])
        #expect(found.longest == [QueueName("q"): .seconds(500)])
        #expect(found.asks == [500])
        #expect(Self.read(&running, ["asynq:workers:{a}": hash]).asks == [500])
    }

    @Test("Of large tasks few are read at a time, those that run longest first")
    func largeTasks() {
        var running = RunningTasks()
        let key = "asynq:workers:{a}"
        func hash(_ ids: ClosedRange<Int>) -> [String: [UInt8]] {
            Dictionary(
                uniqueKeysWithValues: ids.map {
                    ("\($0)", Self.worker("q", startedAgo: Int64(100 - $0), payload: 1 << 20))
                })
        }
        #expect(Self.read(&running, [key: hash(0...9)]).longest == [QueueName("q"): .seconds(100)])
        // Task 0 ends, and comes again under its id.
        let again = hash(0...20).merging(["0": Self.worker("q", startedAgo: 1, payload: 1 << 20)]) { $1 }
        let found = Self.read(&running, [key: again])
        #expect(found.longest == [QueueName("q"): .seconds(99)])
        #expect(found.asks.allSatisfy { $0 <= 4 } && found.asks.count <= 1 + RunningTasks.maxMoreRoundTrips)
    }

    @Test("A task that stays is read in its turn, however many large ones come and go")
    func turns() {
        var running = RunningTasks()
        func hash(_ name: String, _ count: Int, startedAgo: Int64) -> [String: [UInt8]] {
            Dictionary(
                uniqueKeysWithValues: (1...count).map {
                    ("\(name) \($0)", Self.worker("q", startedAgo: startedAgo + Int64($0), payload: 1 << 20))
                })
        }
        let staying = hash("stays", 50, startedAgo: 1000)
        var last: Duration?
        // Four times 3 of them in each scrape.
        for scrape in 1...5 {
            let fleeting = hash("scrape \(scrape)", scrape == 1 ? 1 : 40, startedAgo: 1)
            last = Self.read(&running, ["asynq:workers:{a}": staying.merging(fleeting) { $1 }]).longest[QueueName("q")]
        }
        #expect(last == .seconds(1050))
    }

    @Test(
        "A scrape that failed while tasks were asked for asks for one of them next, which is left out where it fails again"
    )
    func failure() {
        var running = RunningTasks()
        let key = "asynq:workers:{a}"
        let hash = Dictionary(uniqueKeysWithValues: (1...30).map { ("\($0)", Self.worker("q", startedAgo: Int64($0))) })
        _ = Self.read(&running, [key: hash])
        func askAgain() -> Int {
            var pipeline = RedisPipeline()
            let lists = running.addLists(of: [Self.server], to: &pipeline)
            running.readLists(lists, [Self.list(Array(hash.keys))])
            var details = RedisPipeline()
            _ = running.addTasks(to: &details)
            running.recordFailure()
            return details.count
        }
        #expect(askAgain() == 1 && askAgain() == 1)
        // A scrape that fails without any says nothing of the others.
        running.recordFailure()
        let found = Self.read(&running, [key: hash])
        #expect(
            found.asks == [1] && found.longest == [QueueName("q"): .seconds(29)], "the one that ran longest is left out"
        )
        #expect(Self.read(&running, [key: hash]).asks == [29])
    }

    @Test("A task whose worker says too much is told once and never asked for; the others are read")
    func tooLarge() {
        var running = RunningTasks()
        let key = "asynq:workers:{a}"
        let huge = Self.worker("q", startedAgo: 99, payload: MessageLimit.bytes)
        let found = Self.read(&running, [key: ["huge": huge, "small": Self.worker("q", startedAgo: 9)]])
        #expect(found.longest == [QueueName("q"): .seconds(9)] && found.asks == [1])
        #expect(running.error?.reason == .limit && running.error?.message.contains("task huge has 419") == true)
        let again = Self.read(&running, [key: ["huge": huge, "small": Self.worker("q", startedAgo: 9)]])
        #expect(again.asks == [1] && running.error == nil)
    }

    @Test("More running tasks than are looked at are counted as a limit")
    func limit() {
        func error(_ count: Int) -> RedisError? {
            var running = RunningTasks()
            var pipeline = RedisPipeline()
            let lists = running.addLists(of: [Self.server], to: &pipeline)
            running.readLists(lists, [Self.list((0..<count).map(String.init))])
            return running.error
        }
        #expect(error(RunningTasks.maxTasks) == nil)
        #expect(error(RunningTasks.maxTasks + 1)?.reason == .limit)
    }
}
