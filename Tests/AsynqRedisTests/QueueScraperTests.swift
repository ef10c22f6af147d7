import Model
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
}
