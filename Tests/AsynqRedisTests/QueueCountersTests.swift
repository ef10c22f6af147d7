import Model
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

@Suite("Counters that only rise")
struct QueueCountersTests {
    @Test(
        "What is passed on of what is read",
        arguments: [
            // A replica that lags, until it has caught up.
            ([995_381, 995_337, 995_380, 995_381, 995_400], [995_381, 995_381, 995_381, 995_381, 995_400]),
            // A restored snapshot.
            ([10_000, 4_000, 9_000, 10_001], [10_000, 10_000, 10_000, 10_001]),
            // A reset, and what was counted since.
            ([995_381, 0, 7], [995_381, 0, 7]), ([995_381, 40, 90], [995_381, 40, 90]),
            // A failover during a reset: the replica lags behind the new numbers.
            ([5_000, 60, 50, 70], [5_000, 60, 60, 70]),
            // A new day.
            ([300, 3, 2, 9], [300, 3, 3, 9]), ([1, 0, 1], [1, 0, 1]), ([0, 0], [0, 0]),
            ([.max - 540, 1], [.max - 540, 1]),
            // Small numbers: half of it, and ten at most.
            ([28, 4, 5], [28, 4, 5]), ([12, 8, 13], [12, 12, 13]), ([40, 11, 41], [40, 40, 41]),
        ] as [([Int64], [Int64])])
    func table(read: [Int64], shown: [Int64]) {
        var counter = RisingCounter()
        #expect(read.map { counter.record($0) } == shown)
    }

    private typealias Read = (processed: Int64?, failed: Int64?)

    /// Completed and failed, as they are passed on.
    private static func shown(_ read: [(Int64?, Int64?)]) -> [[Int64?]] {
        var counters = QueueCounters()
        return read.map { processed, failed in
            let shown = counters.record(processed: processed, failed: failed)
            return [shown.completed, shown.failed]
        }
    }

    @Test("Numbers at the ends of their type, as anyone may write them into Redis, are no end of the program")
    func ends() {
        #expect(Self.shown([(.min, 9)]) == [[0, 9]])
        #expect(Self.shown([(.max, -5)]) == [[.max, -5]])
        #expect(Self.shown([(.min, .max), (.max, .min)]).count == 2)
    }

    @Test("Completed and failed stand still together, each until it has caught up")
    func lag() {
        let read: [(Int64?, Int64?)] = [(1_000_388, 5_007), (1_000_343, 5_006), (1_000_380, 5_006), (1_000_400, 5_008)]
        #expect(Self.shown(read) == [[995_381, 5_007], [995_381, 5_007], [995_381, 5_007], [995_392, 5_008]])
    }

    @Test("A replica that lacks the only failure is no reset; a reset of one is a reset of both")
    func together() {
        #expect(Self.shown([(100, 1), (99, 0), (101, 1)]) == [[99, 1], [99, 1], [100, 1]])
        #expect(Self.shown([(105, 14), (3, 5), (9, 5)]) == [[91, 14], [0, 5], [4, 5]])
        #expect(Self.shown([(100, 10), (0, 0), (2, 1)]) == [[90, 10], [0, 0], [1, 1]])
        // The key of the failures alone was evicted.
        #expect(Self.shown([(100, 20), (100, 0), (110, 1)]) == [[80, 20], [100, 0], [109, 1]])
        // That of all processed tasks alone.
        #expect(Self.shown([(100, 20), (0, 20), (30, 21)]) == [[80, 20], [0, 20], [9, 21]])
    }

    @Test("Failures that Redis has forgotten are not completed")
    func forgottenFailures() {
        #expect(
            Self.shown([(100, 40), (100, 39), (110, 20), (130, 41)]) == [[60, 40], [60, 40], [70, 40], [89, 41]])
    }

    @Test("A failure between the two readings takes nothing from the completed ones")
    func race() {
        #expect(Self.shown([(100, 10), (100, 12), (105, 14)]) == [[90, 10], [90, 12], [91, 14]])
        #expect(Self.shown([(1, 0), (1, 1)]) == [[1, 0], [1, 1]])
    }

    @Test("What can't be read is absent, and goes on where it was")
    func unreadable() {
        #expect(
            Self.shown([(100, 10), (nil, 9), (99, nil), (99, 9), (120, 11)])
                == [[90, 10], [nil, 10], [nil, nil], [90, 10], [109, 11]])
    }

    @Test("Evicted keys of one Redis stand still as well, and are absent while a node of a Cluster does not say it")
    func evicted() {
        var one = EvictedKeys()
        #expect(
            [5_000, 4_990, 5_001, 0, nil, 2].map { one.record($0, nodeCount: 1) } == [5_000, 5_000, 5_001, 0, nil, 2])
        var several = EvictedKeys()
        #expect([8, nil, 9, 4, 6].map { several.record($0, nodeCount: 2) } == [8, nil, 9, 9, 11])
    }

    @Test(
        "All was deleted under load: the queue has left asynq:queues, and its counters begin anew, however high they are"
    )
    func flushed() throws {
        let store = TaskStore()
        let clock = TestClock()
        var scraper = QueueScraper(filter: .all, clock: clock.clock)
        let server = Array("asynq:servers:{h:1:s}".utf8)
        store.instead["ZRANGE asynq:servers"] = .array([.string(server), Self.text(9_000_000_000)])
        // `queues` of a ServerInfo: "q" with priority 1.
        store.instead["GET asynq:servers:{h:1:s}"] = .string([42, 5, 10, 1, 113, 16, 1])
        func completed(_ processed: Int, isRegistered: Bool) throws -> Int64? {
            store.instead["SMEMBERS asynq:queues"] = .array(isRegistered ? [.string(Array("q".utf8))] : [])
            store.instead["GET asynq:{q}:processed"] = Self.text(processed)
            store.instead["GET asynq:{q}:failed"] = Self.text(0)
            return try scraper.scrape(store, deadline: MonotonicTime(nanoseconds: .max)).queues.first?.completed
        }
        #expect(try completed(5000, isRegistered: true) == 5000)
        #expect(try completed(4000, isRegistered: false) == 4000)
        #expect(try completed(3990, isRegistered: false) == 4000)
        #expect(try completed(4990, isRegistered: true) == 4990)
        #expect(try completed(4980, isRegistered: true) == 4990)
    }

    private static func text(_ number: Int) -> RedisReply { .string(Array(String(number).utf8)) }

    @Test("A queue that was gone and is there again begins anew, whatever its counters say; its dead letters go on")
    func recreated() throws {
        let store = TaskStore()
        var scraper = QueueScraper(filter: .all, clock: TestClock().clock)
        func completed(_ processed: Int?) throws -> Int64? {
            store.instead["SMEMBERS asynq:queues"] = .array(processed == nil ? [] : [.string(Array("q".utf8))])
            store.instead["GET asynq:{q}:processed"] = Self.text(processed ?? 0)
            store.instead["GET asynq:{q}:failed"] = Self.text(0)
            return try scraper.scrape(store, deadline: MonotonicTime(nanoseconds: .max)).queues.first?.completed
        }
        #expect(try [1000, 990, nil, 400, 390].map { try completed($0) } == [1000, 1000, nil, 400, 400])
    }
}
