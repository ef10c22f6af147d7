import Model
import Testing

@testable import Redis

@Suite("Replies read by the command that asked for them")
struct AskTests {
    private static func text(_ text: String) -> RedisReply { .string(Array(text.utf8)) }
    private static let key = Array("key".utf8)

    /// What one command's reply is read as; it stands behind another command.
    private static func read<Reply>(
        _ reply: RedisReply, _ add: (inout RedisPipeline) -> Ask<Reply>
    ) throws(RedisError) -> Reply? {
        var pipeline = RedisPipeline()
        pipeline.add("PING")
        let ask = add(&pipeline)
        return try [Self.text("PONG"), reply][ask]
    }

    private static func reason<Reply>(
        _ reply: RedisReply, _ add: (inout RedisPipeline) -> Ask<Reply>
    ) -> ScrapeErrorReason? {
        do throws(RedisError) {
            _ = try read(reply, add)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test("Numbers are read from integers and from texts, nothing else is a number")
    func numbers() throws {
        let commands: [(inout RedisPipeline) -> Ask<Int64>] = [
            { $0.llen(Self.key) }, { $0.zcard(Self.key) }, { $0.scard(Self.key) }, { $0.zcount(Self.key, upTo: 5) },
        ]
        for command in commands {
            #expect(try Self.read(.integer(7), command) == 7)
            for reply in [.null, .array([]), Self.text("x")] as [RedisReply] {
                #expect(Self.reason(reply, command) == .malformed)
            }
        }
        #expect(try Self.read(.integer(1)) { $0.exists(Self.key) } == true)
        #expect(try Self.read(.integer(0)) { $0.exists(Self.key) } == false)
    }

    @Test("A text may be missing, but is no number and no list")
    func texts() throws {
        let commands: [(inout RedisPipeline) -> Ask<[UInt8]?>] = [{ $0.get(Self.key) }, { $0.lindex(Self.key, -3) }]
        for command in commands {
            #expect(try Self.read(Self.text("a"), command) == .some(Array("a".utf8)))
            #expect(try Self.read(.null, command) == .some(nil))
            #expect(Self.reason(.integer(1), command) == .malformed)
            #expect(Self.reason(.array([]), command) == .malformed)
        }
        #expect(try Self.read(.integer(56)) { $0.memoryUsage(Self.key) } == .some(56))
        #expect(try Self.read(.null) { $0.memoryUsage(Self.key) } == .some(nil))
        #expect(Self.reason(.array([])) { $0.memoryUsage(Self.key) } == .malformed)
    }

    @Test("A list is a list, though it be empty")
    func lists() throws {
        let commands: [(inout RedisPipeline) -> Ask<[[UInt8]]>] = [
            { $0.lrange(Self.key, from: 0, to: -1) }, { $0.smembers(Self.key) },
            { $0.zrange(Self.key, from: 0, to: 19) },
            { $0.zrangeByScore(Self.key, from: nil, to: 5, limit: 9) },
        ]
        for command in commands {
            #expect(try Self.read(.array([Self.text("a"), Self.text("b")]), command) == [[0x61], [0x62]])
            #expect(try Self.read(.array([]), command) == [])
            #expect(try Self.read(.null, command) == [])
            #expect(Self.reason(Self.text("a"), command) == .malformed)
            #expect(Self.reason(.integer(1), command) == .malformed)
        }
    }

    @Test("A hash gives as many fields as were asked for, or the reply is of another kind")
    func hashes() throws {
        let command: (inout RedisPipeline) -> Ask<[[UInt8]?]> = { $0.hmget(Self.key, "state", "msg") }
        #expect(try Self.read(.array([Self.text("a"), .null]), command) == [[0x61], nil])
        for count in [0, 1, 3] {
            #expect(Self.reason(.array(Array(repeating: .null, count: count)), command) == .malformed)
        }
        let scores: (inout RedisPipeline) -> Ask<[Int64?]> = { $0.zmscore(Self.key, [[1], [2]]) }
        #expect(try Self.read(.array([Self.text("5"), .null]), scores) == [5, nil])
        #expect(Self.reason(.array([Self.text("5")]), scores) == .malformed)
    }

    @Test(
        "A score at the ends of its type leaves space for a sum with any time",
        arguments: ["-9223372036854775808", "9223372036854774784", "-1e300", "1e300", "-9.2233720368547758e+18"])
    func farScores(text: String) throws {
        let score = try #require(Self.text(text).score)
        #expect(score == (text.hasPrefix("-") ? Int64.min / 2 : Int64.max / 2))
    }

    @Test("Members stand before their scores; one without a score is left out")
    func scoredMembers() throws {
        let command: (inout RedisPipeline) -> Ask<[ScoredMember]> = { $0.zrangeWithScores(Self.key, from: 0, to: -1) }
        let reply = RedisReply.array(["a", "1", "b", "x", "c", "-3", "d"].map { Self.text($0) })
        #expect(
            try Self.read(reply, command) == [
                ScoredMember(member: [0x61], score: 1), ScoredMember(member: [0x63], score: -3),
            ])
        #expect(Self.reason(.null, command) == .malformed)
    }

    @Test("An error reply is thrown with its reason, and costs no other command's value")
    func errors() throws {
        var pipeline = RedisPipeline()
        let (first, second) = (pipeline.llen(Self.key), pipeline.zcard(Self.key))
        let replies: [RedisReply] = [.error("WRONGTYPE no list"), .integer(2)]
        #expect(throws: RedisError.self) { try replies[first] }
        #expect(try replies[second] == 2)
        #expect(Self.reason(.error("NOPERM no")) { $0.get(Self.key) } == .permission)
    }

    @Test("A command that no node answered has no value, and is no error")
    func unanswered() throws {
        #expect(try Self.read(.unanswered) { $0.llen(Self.key) } == nil)
        #expect(try Self.read(.unanswered) { $0.get(Self.key) } == .none)
    }

    @Test("What is read further keeps its place, its errors and its own refusals")
    func map() throws {
        let half: (inout RedisPipeline) -> Ask<Int64> = { pipeline in
            pipeline.llen(Self.key).map { number throws(RedisError) in
                if number % 2 != 0 { throw RedisError(.limit, "odd") }
                return number / 2
            }
        }
        #expect(try Self.read(.integer(6), half) == 3)
        #expect(Self.reason(.integer(7), half) == .limit)
        #expect(Self.reason(.null, half) == .malformed)
        #expect(Self.reason(.error("LOADING"), half) == .loading)
    }

    @Test("Commands are written with their arguments in Redis' order")
    func formats() {
        func words(_ add: (inout RedisPipeline) -> Void) -> String {
            var pipeline = RedisPipeline()
            add(&pipeline)
            let lines = String(decoding: pipeline.bytes, as: UTF8.self).split(separator: "\r\n")
            return stride(from: 2, to: lines.count, by: 2).map { String(lines[$0]) }.joined(separator: " ")
        }
        #expect(words { _ = $0.lrange(Self.key, from: -4, to: -1) } == "LRANGE key -4 -1")
        #expect(words { _ = $0.zcount(Self.key, upTo: 12) } == "ZCOUNT key -inf 12")
        #expect(words { _ = $0.memoryUsage(Self.key) } == "MEMORY USAGE key")
        #expect(words { _ = $0.info("stats") } == "INFO stats")
        #expect(words { _ = $0.time() } == "TIME")
        #expect(words { _ = $0.exists([Self.key, [0x62]]) } == "EXISTS key b")
        #expect(words { _ = $0.mget([Self.key, [0x62]]) } == "MGET key b")
        #expect(
            words { _ = $0.zrangeByScore(Self.key, from: nil, to: 7, limit: 3) }
                == "ZRANGEBYSCORE key -inf 7 LIMIT 0 3")
        #expect(
            words { _ = $0.zrangeByScoreWithScores(Self.key, from: 4, to: nil, limit: 3) }
                == "ZRANGEBYSCORE key 4 +inf WITHSCORES LIMIT 0 3")
        #expect(words { _ = $0.zrangeWithScores(Self.key, from: -20, to: -1) } == "ZRANGE key -20 -1 WITHSCORES")
        #expect(words { _ = $0.hmget(Self.key, "state", "msg") } == "HMGET key state msg")
        #expect(words { _ = $0.zmscore(Self.key, [[0x61], [0x62]]) } == "ZMSCORE key a b")
    }
}
