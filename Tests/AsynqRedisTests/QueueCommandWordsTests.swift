import Model
import Redis
import Testing

@testable import AsynqRedis
@testable import Redis

@Suite("The commands of one queue's scrape")
struct QueueCommandWordsTests {
    /// The end of a second.
    private static let now = WallTime(nanoseconds: 1_700_000_000_999_999_999)

    private static func words(_ pipeline: RedisPipeline) -> [String] {
        (0..<pipeline.count).map { index in
            let lines = String(decoding: pipeline.bytes(of: index), as: UTF8.self)
                .split(separator: "\r\n", omittingEmptySubsequences: false)
            return stride(from: 2, to: lines.count, by: 2).map { String(lines[$0]) }.joined(separator: " ")
        }
    }

    private static func counts(
        groups: Int64 = 0, pending: Int64 = 0, arrivals: ArchiveArrivals? = nil, isBaseline: Bool = false
    ) -> [String] {
        var pipeline = RedisPipeline()
        let scrape = QueueCommands(
            QueueName("q"), lastGroupCount: groups, lastPending: pending, arrivals: arrivals, isBaseline: isBaseline,
            at: now)
        _ = scrape.addCounts(to: &pipeline)
        return words(pipeline)
    }

    @Test("Tasks are overdue, and leases expired, up to the second that it is")
    func counts() {
        #expect(
            Self.counts() == [
                "LLEN asynq:{q}:pending", "LLEN asynq:{q}:active", "ZCARD asynq:{q}:scheduled", "ZCARD asynq:{q}:retry",
                "ZCARD asynq:{q}:archived", "ZCARD asynq:{q}:completed", "GET asynq:{q}:processed",
                "GET asynq:{q}:failed", "GET asynq:{q}:paused", "LRANGE asynq:{q}:pending -4 -1",
                "ZCOUNT asynq:{q}:scheduled -inf 1700000000", "ZCOUNT asynq:{q}:retry -inf 1700000000",
                "ZRANGEBYSCORE asynq:{q}:lease -inf 1700000000 WITHSCORES LIMIT 0 10000",
                "ZRANGEBYSCORE asynq:{q}:archived -inf +inf WITHSCORES LIMIT 0 1000", "SCARD asynq:{q}:groups",
                "SMEMBERS asynq:{q}:groups",
            ])
    }

    @Test("A long list is looked at further from its end, and the names of 10,000 groups are asked for, of more not")
    func sizes() {
        func deeper(_ pending: Int64) -> [String] { Self.counts(pending: pending).filter { $0.hasPrefix("LINDEX") } }
        #expect(deeper(31) == [])
        #expect(deeper(32) == ["LINDEX asynq:{q}:pending -32", "LINDEX asynq:{q}:pending -256"])
        func asksForNames(_ groups: Int64) -> Bool { Self.counts(groups: groups).contains("SMEMBERS asynq:{q}:groups") }
        #expect(asksForNames(10_000) && !asksForNames(10_001))
    }

    @Test("The archive is read from ten seconds before the newest death on; at the start its newest twenty")
    func archive() {
        func command(_ arrivals: ArchiveArrivals?, isBaseline: Bool = false) -> String? {
            Self.counts(arrivals: arrivals, isBaseline: isBaseline).first {
                $0.contains(":archived ") && !$0.hasPrefix("ZCARD")
            }
        }
        var arrivals = ArchiveArrivals()
        #expect(command(arrivals) == "ZRANGEBYSCORE asynq:{q}:archived -inf +inf WITHSCORES LIMIT 0 1000")
        _ = arrivals.countArrivals(in: [ScoredMember(member: [1], score: 1_699_999_950)], at: 1_699_999_960)
        let known = "ZRANGEBYSCORE asynq:{q}:archived 1699999940 +inf WITHSCORES LIMIT 0 1000"
        #expect(command(arrivals) == known && command(arrivals, isBaseline: true) == known)
        #expect(command(nil, isBaseline: true) == "ZRANGE asynq:{q}:archived -20 -1 WITHSCORES")
    }

    @Test(
        "What the counts have named is looked at: next and active tasks, overdue ones, the archive's rest and each group"
    )
    func details() {
        func text(_ text: String) -> RedisReply { .string(Array(text.utf8)) }
        var pipeline = RedisPipeline()
        var scrape = QueueCommands(QueueName("q"), isBaseline: true, at: Self.now)
        let counts = scrape.addCounts(to: &pipeline)
        let numbers: [RedisReply] = [2, 1, 0, 0, 1, 0].map { .integer($0) } + [.null, .null, .null]
        let lists: [RedisReply] = [
            .array([text("second"), text("first")]), .integer(2), .integer(1),
            .array([text("lost"), text("1699999990")]),
            .array([text("dead"), text("1699999950")]), .integer(1), .array([text("g")]),
        ]
        scrape.readCounts(counts, numbers + lists)
        var second = RedisPipeline()
        _ = scrape.addDetails(to: &second)
        #expect(
            Self.words(second) == [
                "HMGET asynq:{q}:t:first state pending_since", "HMGET asynq:{q}:t:second state pending_since",
                "LINDEX asynq:{q}:pending -1", "LRANGE asynq:{q}:active 0 9999",
                "ZRANGE asynq:{q}:scheduled 0 0 WITHSCORES", "ZRANGE asynq:{q}:retry 0 0 WITHSCORES",
                "ZRANGEBYSCORE asynq:{q}:archived 1699999940 +inf WITHSCORES LIMIT 0 20000", "ZCARD asynq:{q}:g:g",
            ])
    }

    @Test(
        "Where 1,000 deaths or more came at once, those from the last one's second on are read as well",
        arguments: [999, 1000])
    func archiveRest(count: Int) {
        func death(_ number: Int) -> [RedisReply] {
            ["id \(number)", "\(1_699_900_000 + number)"].map { .string(Array($0.utf8)) }
        }
        var pipeline = RedisPipeline()
        var scrape = QueueCommands(QueueName("q"), arrivals: ArchiveArrivals(), at: Self.now)
        let counts = scrape.addCounts(to: &pipeline)
        let numbers: [RedisReply] = [RedisReply](repeating: .integer(0), count: 6) + [.null, .null, .null]
        let archive = RedisReply.array((1...count).flatMap { death($0) })
        scrape.readCounts(
            counts, numbers + [.array([]), .integer(0), .integer(0), .array([]), archive, .integer(0), .array([])])
        var second = RedisPipeline()
        let details = scrape.addDetails(to: &second)
        if count < 1000 {
            #expect(second.count == 0 && scrape.snapshot.deadLettered == 999)
            return
        }
        #expect(
            Self.words(second) == [
                "ZRANGEBYSCORE asynq:{q}:archived 1699901000 +inf WITHSCORES LIMIT 0 20000"
            ])
        scrape.readDetails(details, [.array((1000...1001).flatMap { death($0) })])
        #expect(scrape.snapshot.deadLettered == 1001)
    }
}
