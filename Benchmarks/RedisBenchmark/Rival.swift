import AsynqRedis
import Model
import Redis

/// What a scrape costs that asks as Asynq's own exporter does: the queues, then for each queue, one after the other, whether
/// it exists, one script for its numbers and one for its memory. The scripts are written for this benchmark; they run the
/// commands that Asynq's run.
struct LuaScrape {
    private static let statistics = """
        local q = KEYS[1]
        local n = redis.call("LLEN", q .. "pending")
        local r = {n, redis.call("LLEN", q .. "active"), redis.call("ZCARD", q .. "scheduled"),
            redis.call("ZCARD", q .. "retry"), redis.call("ZCARD", q .. "archived"), redis.call("ZCARD", q .. "completed")}
        for _, name in ipairs({"processed:" .. ARGV[1], "failed:" .. ARGV[1], "processed", "failed"}) do
            r[#r + 1] = redis.call("GET", q .. name) or 0
        end
        r[#r + 1] = redis.call("EXISTS", q .. "paused")
        local since = 0
        if n > 0 then
            local id = redis.call("LRANGE", q .. "pending", -1, -1)[1]
            since = redis.call("HGET", q .. "t:" .. id, "pending_since") or 0
        end
        r[#r + 1] = since
        local aggregating = 0
        local groups = redis.call("SMEMBERS", q .. "groups")
        for _, group in ipairs(groups) do aggregating = aggregating + redis.call("ZCARD", q .. "g:" .. group) end
        r[#r + 1] = #groups
        r[#r + 1] = aggregating
        return r
        """

    private static let memory = """
        local q = KEYS[1]
        local total = 0
        local function add(key, ids, length)
            local sum = 0
            for _, id in ipairs(ids) do sum = sum + redis.call("MEMORY", "USAGE", q .. "t:" .. id) end
            if #ids > 0 then total = total + sum / #ids * redis.call(length, key) end
            total = total + (redis.call("MEMORY", "USAGE", key) or 0)
        end
        for _, name in ipairs({"pending", "active"}) do
            add(q .. name, redis.call("LRANGE", q .. name, 0, 19), "LLEN")
        end
        for _, name in ipairs({"scheduled", "retry", "archived", "completed"}) do
            add(q .. name, redis.call("ZRANGE", q .. name, 0, 19), "ZCARD")
        end
        redis.call("SMEMBERS", q .. "groups")
        return math.floor(total)
        """

    private let connection: RedisConnection
    private let statisticsHash: [UInt8]
    private let memoryHash: [UInt8]
    private(set) var roundTrips = 0

    init(_ connection: RedisConnection) throws {
        self.connection = connection
        var pipeline = RedisPipeline()
        for script in [Self.statistics, Self.memory] { pipeline.add("SCRIPT", "LOAD".bytes, script.bytes) }
        let hashes = try connection.roundTrip(pipeline, deadline: .inAMinute).compactMap(\.bytes)
        statisticsHash = hashes[0]
        memoryHash = hashes[1]
    }

    mutating func run() throws {
        let names = try ask("SMEMBERS", AsynqKeys.queues).elements ?? []
        for name in names.compactMap(\.bytes) {
            _ = try ask("SISMEMBER", AsynqKeys.queues, name)
            let prefix = AsynqKeys.queue(QueueName(name), "")
            _ = try ask("EVALSHA", statisticsHash, "1".bytes, prefix, "2026-11-21".bytes)
            _ = try ask("EVALSHA", memoryHash, "1".bytes, prefix)
        }
    }

    private mutating func ask(_ command: StaticString, _ arguments: [UInt8]...) throws -> RedisReply {
        var pipeline = RedisPipeline()
        pipeline.add(command, list: arguments)
        roundTrips += 1
        let reply = try connection.roundTrip(pipeline, deadline: .inAMinute)[0]
        if let text = reply.errorText { throw RedisError(.server, text) }
        return reply
    }
}
