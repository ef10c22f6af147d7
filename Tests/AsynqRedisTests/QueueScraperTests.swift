import Model
import ProtobufWire
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("What one scrape hands on to the next")
struct QueueScraperTests {
    private static func text(_ text: String) -> RedisReply { .string(Array(text.utf8)) }

    private static func store() -> TaskStore {
        let store = TaskStore()
        store.instead["SMEMBERS asynq:queues"] = .array([text("q")])
        return store
    }

    private static let deadline = MonotonicTime(nanoseconds: .max)

    @Test("Completed tasks do not fall while tasks are processed, and begin again with the counters")
    func completed() throws {
        let store = Self.store()
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        func completed(_ processed: Int, _ failed: Int) throws -> Int64? {
            store.instead["GET asynq:{q}:processed"] = Self.text(String(processed))
            store.instead["GET asynq:{q}:failed"] = Self.text(String(failed))
            return try scraper.scrape(store, deadline: Self.deadline).queues[0].completed
        }
        #expect(try completed(100, 10) == 90)
        #expect(try completed(100, 12) == 90, "failures between the readings, and nothing processed")
        #expect(try completed(105, 14) == 91)
        #expect(try completed(3, 5) == 0)
        #expect(try completed(9, 5) == 4)
    }

    @Test("Evicted keys of several nodes do not fall when one of them starts again")
    func evicted() throws {
        let store = Self.store()
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        store.instead["INFO memory"] = .array([.null, .null])
        store.instead["INFO clients"] = .array([.null, .null])
        func evicted(_ counts: Int...) throws -> Int64? {
            store.instead["INFO stats"] = .array(counts.map { Self.text("evicted_keys:\($0)\r\n") })
            return try scraper.scrape(store, deadline: Self.deadline).info.evictedKeys
        }
        #expect(try evicted(5, 3) == 8)
        #expect(try evicted(6, 3) == 9)
        #expect(try evicted(0, 4) == 9)
        #expect(try evicted(2, 4) == 11)
    }

    @Test("What Redis says of itself is that of this scrape")
    func info() throws {
        let store = Self.store()
        store.instead["INFO memory"] = .array([Self.text("used_memory:5\r\nmaxmemory:9\r\n")])
        store.instead["INFO stats"] = .array([Self.text("evicted_keys:2\r\n")])
        store.instead["INFO clients"] = .array([Self.text("connected_clients:3\r\n")])
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        var info = RedisInfo()
        (info.usedMemoryBytes, info.maxMemoryBytes, info.evictedKeys, info.connectedClients) = (5, 9, 2, 3)
        #expect(try scraper.scrape(store, deadline: Self.deadline).info == info)
        #expect(info.adding(info).maxMemoryBytes == 18 && info.adding(RedisInfo()).maxMemoryBytes == nil)
    }

    /// An index with one server that serves `served` and works on `working`.
    private static func addServer(to store: TaskStore, serving queues: [String], working: [String: [UInt8]]) {
        var writer = WireWriter()
        writer.string(ServerInfoField.host.rawValue, "worker-1")
        writer.int(ServerInfoField.pid.rawValue, 7)
        for name in queues {
            writer.message(ServerInfoField.queues.rawValue) {
                $0.string(MapEntryField.key.rawValue, name)
                $0.int(MapEntryField.value.rawValue, 1)
            }
        }
        writer.int(ServerInfoField.activeWorkers.rawValue, Int64(working.count))
        let key = "asynq:servers:{worker-1:7:id}"
        store.instead["ZRANGE asynq:servers"] = .array([text(key), text("1800000100")])
        store.instead["GET \(key)"] = .string(writer.bytes)
        store.instead["HKEYS asynq:workers:{worker-1:7:id}"] = .array(working.keys.sorted().map(text))
        store.hashes["asynq:workers:{worker-1:7:id}"] = working
    }

    private static func worker(deadline seconds: Int64?) -> [UInt8] {
        var writer = WireWriter()
        writer.string(WorkerInfoField.queue.rawValue, "q")
        writer.message(WorkerInfoField.startTime.rawValue) { $0.int(TimestampField.seconds.rawValue, 1_799_999_990) }
        if let seconds {
            writer.message(WorkerInfoField.deadline.rawValue) { $0.int(TimestampField.seconds.rawValue, seconds) }
        }
        return writer.bytes
    }

    private static func details(_ id: String, _ state: String = "active") -> TaskDetails {
        var details = TaskDetails(task: TaskName(queue: QueueName("q"), id: Array(id.utf8)), state: ForeignText(state))
        details.deadlineAt = WallTime(seconds: 5)
        return details
    }

    @Test("A task that runs is told with its worker and the deadline that the worker has, and only while it is active")
    func worker() throws {
        let store = Self.store()
        Self.addServer(
            to: store, serving: ["q"], working: ["a": Self.worker(deadline: 9), "b": Self.worker(deadline: nil)])
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        _ = try scraper.scrape(store, deadline: Self.deadline)
        var details = ["a", "b", "none"].map { Self.details($0) } + [Self.details("a", "pending")]
        for index in details.indices { scraper.addWorker(to: &details[index]) }
        #expect(details.map { $0.worker?.host.text } == ["worker-1", "worker-1", nil, nil])
        #expect(details[0].worker?.startedAt == WallTime(seconds: 1_799_999_990) && details[0].worker?.pid == 7)
        #expect(details.map { $0.deadlineAt?.wholeSeconds } == [9, 5, 5, 5])
    }

    @Test("Where the index of servers can't be read, what was known of them still holds")
    func unreadServers() throws {
        let store = Self.store()
        Self.addServer(to: store, serving: ["q", "served"], working: ["a": Self.worker(deadline: 9)])
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        func queues() throws -> [String] {
            try scraper.scrape(store, deadline: Self.deadline).queues.map(\.name.text)
        }
        #expect(try queues() == ["q", "served"])
        store.instead["ZRANGE asynq:servers"] = .error("NOPERM no")
        #expect(try queues() == ["q", "served"])
        #expect(try queues() == ["q", "served"])
        store.instead["ZRANGE asynq:servers"] = .array([])
        #expect(try queues() == ["q"])
    }

    @Test("Very many tasks that run are read within one scrape, in more round trips")
    func manyRunning() throws {
        let store = Self.store()
        let working = (0..<300).map { ("\($0)", Self.worker(deadline: nil)) }
        Self.addServer(to: store, serving: ["q"], working: Dictionary(uniqueKeysWithValues: working))
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        let snapshot = try scraper.scrape(store, deadline: Self.deadline)
        // The first scrape knows the server as idle no more than any other, and lists what it does.
        #expect(snapshot.servers?.map(\.running.count) == [300])
        #expect(snapshot.queues[0].longestRunning == .seconds(10))
    }

    @Test("A queue is registered while asynq:queues names it; one that only a server names is not")
    func registered() throws {
        let store = Self.store()
        Self.addServer(to: store, serving: ["q", "served"], working: [:])
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        func registered() throws -> [Bool?] {
            try scraper.scrape(store, deadline: Self.deadline).queues.map(\.isRegistered)
        }
        #expect(try registered() == [true, false])
        store.instead["SMEMBERS asynq:queues"] = .array([Self.text("q"), Self.text("served")])
        #expect(try registered() == [true, true])
    }

    @Test("Of a queue that is gone, arrivals that were not read are skipped, once, and its totals begin anew")
    func goneQueue() throws {
        let store = Self.store()
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        func scrape(_ queues: String..., processed: Int, archive: String...) throws -> [QueueSnapshot] {
            store.instead["SMEMBERS asynq:queues"] = .array(queues.map(Self.text))
            store.instead["GET asynq:{q}:processed"] = Self.text(String(processed))
            store.instead["GET asynq:{q}:failed"] = Self.text("4")
            let members = archive.flatMap { [Self.text($0), Self.text("1700000000")] }
            store.instead["ZRANGE asynq:{q}:archived"] = .array(members)
            store.instead["ZRANGEBYSCORE asynq:{q}:archived"] = .array(members)
            return try scraper.scrape(store, deadline: Self.deadline).queues
        }
        _ = try scrape("q", "r", processed: 10)
        #expect(try scrape("q", "r", processed: 10, archive: "dead").first?.deadLettered == 1)
        #expect(scraper.takeSkippedLetters() == 0)
        #expect(try scrape("r", processed: 10).map(\.name.text) == ["r"])
        #expect(scraper.takeSkippedLetters() == 1)
        _ = try scrape("r", processed: 10)
        #expect(scraper.takeSkippedLetters() == 0)
        let back = try scrape("q", "r", processed: 5)
        #expect(back.first?.completed == 1, "5 processed, 4 failed: no fall from 6 that it shows")
    }

    @Test(
        "Queues beyond the memory for them are not read, those with names of more than 1,024 bytes never, and that is an error"
    )
    func tooManyQueues() throws {
        let store = TaskStore()
        let long = String(repeating: "n", count: 1025)
        let exact = String(repeating: "m", count: 1024)
        store.instead["SMEMBERS asynq:queues"] = .array(["c", long, "a", exact, "b"].map(Self.text))
        var roomy = QueueScraper(filter: .all, clock: TestClock().clock)
        let all = try roomy.scrape(store, deadline: Self.deadline)
        #expect(
            all.queues.map(\.name) == ["a", "b", "c", exact].map { QueueName($0) } && all.partialErrors.contains(.limit)
        )
        var narrow = QueueScraper(filter: .all, clock: TestClock().clock, maxQueueBytes: 2 * 1537)
        let some = try narrow.scrape(store, deadline: Self.deadline)
        #expect(some.queues.map(\.name) == ["a", "b"].map { QueueName($0) } && some.partialErrors.contains(.limit))
        store.instead["SMEMBERS asynq:queues"] = .array(["a", "b"].map(Self.text))
        #expect(try !narrow.scrape(store, deadline: Self.deadline).partialErrors.contains(.limit))
    }

    @Test("What lies in the archive of a queue that a new filter lets in died before, and what comes later counts")
    func newFilter() throws {
        let store = TaskStore()
        store.instead["SMEMBERS asynq:queues"] = .array([Self.text("q"), Self.text("r")])
        var scraper = QueueScraper(filter: QueueFilter(exclude: "^r"), clock: TestClock().clock)
        func deadLettered(_ archive: String...) throws -> [UInt64?] {
            let members = archive.flatMap { [Self.text($0), Self.text("1700000000")] }
            store.instead["ZRANGE asynq:{r}:archived"] = .array(members)
            store.instead["ZRANGEBYSCORE asynq:{r}:archived"] = .array(members)
            return try scraper.scrape(store, deadline: Self.deadline).queues.filter { $0.name.text == "r" }
                .map(\.deadLettered)
        }
        #expect(try deadLettered("old") == [])
        scraper.use(.all)
        #expect(try deadLettered("old") == [0])
        #expect(try deadLettered("old", "new") == [1])
    }

    @Test(
        "What lies in the archive of a new queue counts where asynq:queues names it, and died before where only a server does"
    )
    func newQueue() throws {
        let store = Self.store()
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        _ = try scraper.scrape(store, deadline: Self.deadline)
        let members = [Self.text("dead"), Self.text("1700000000")]
        for name in ["new", "served"] {
            store.instead["ZRANGE asynq:{\(name)}:archived"] = .array(members)
            store.instead["ZRANGEBYSCORE asynq:{\(name)}:archived"] = .array(members)
        }
        Self.addServer(to: store, serving: ["q", "served"], working: [:])
        store.instead["SMEMBERS asynq:queues"] = .array([Self.text("q"), Self.text("new")])
        let queues = try scraper.scrape(store, deadline: Self.deadline).queues
        #expect(queues.map(\.name.text) == ["new", "q", "served"])
        #expect(queues.map(\.deadLettered) == [1, nil, 0])
    }
}
