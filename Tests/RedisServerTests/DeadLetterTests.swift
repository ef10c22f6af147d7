import Model
import Platform
import Redis
import TestSupport
import Testing

@testable import AsynqRedis

extension QueueScraper {
    mutating func scrape(_ connection: RedisConnection) throws -> RedisSnapshot {
        try scrape(connection, deadline: .soon)
    }
}

@Suite("Dead letters in a real Redis")
struct DeadLetterTests {
    private static let now = WallTime(seconds: 1_700_000_000)
    private static let clock = TestClock(now).clock

    private func archive(_ redis: RedisConnection, _ ids: Range<Int>, at score: Int64) throws {
        var pipeline = RedisPipeline()
        let pairs = ids.flatMap { [String(score), "task \($0)"] }.map { Array($0.utf8) }
        pipeline.add("SADD", AsynqKeys.queues, Array("q".utf8))
        pipeline.add("ZADD", list: [AsynqKeys.queue(QueueName("q"), "archived")] + pairs)
        _ = try redis.roundTrip(pipeline, deadline: .soon)
    }

    @Test("An archive that could not be read at the start is no thousand deaths when it can")
    func lateBaseline() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        try archive(redis, 0..<1200, at: Self.now.wholeSeconds - 5)
        _ = try redis.send("ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-zrange", "-zrangebyscore")
        var endpoint = server.endpoint
        (endpoint.username, endpoint.password) = ("blind", "pw")
        let blind = try RedisConnection(endpoint, clock: .system, deadline: .soon)
        var scraper = QueueScraper(filter: .all, clock: Self.clock)
        #expect(try scraper.scrape(blind).queues[0].deadLettered == nil)
        #expect(try scraper.scrape(blind).queues[0].deadLettered == nil)
        #expect(try scraper.scrape(redis).queues[0].deadLettered == 0)
        try archive(redis, 1200..<1203, at: Self.now.wholeSeconds)
        #expect(try scraper.scrape(redis).queues[0].deadLettered == 3)
    }

    @Test("One that leaves between the two readings of a full archive hides no other")
    func removedInBetween() throws {
        let server = try RedisTestServer()
        let redis = try server.connect()
        for second in 0..<50 {
            try archive(redis, second * 30..<second * 30 + 30, at: Self.now.wholeSeconds - Int64(second))
        }
        var scrape = QueueCommands(QueueName("q"), arrivals: ArchiveArrivals(), at: Self.now)
        var counts = RedisPipeline()
        let asked = scrape.addCounts(to: &counts)
        scrape.readCounts(asked, try redis.roundTrip(counts, deadline: .soon))
        // The oldest: one of those that were read.
        #expect(try redis.send("ZREM", "asynq:{q}:archived", "task 1470") == .integer(1))
        var details = RedisPipeline()
        let rest = scrape.addDetails(to: &details)
        scrape.readDetails(rest, try redis.roundTrip(details, deadline: .soon))
        #expect(scrape.snapshot.deadLettered == 1500)
    }
}
