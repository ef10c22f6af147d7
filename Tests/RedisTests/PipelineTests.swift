import Model
import Testing

@testable import Redis

@Suite("Pipelines and replies")
struct PipelineTests {
    @Test("Commands are formatted as the protocol wants them")
    func format() {
        var pipeline = RedisPipeline()
        #expect(pipeline.add("PING").index == 0)
        #expect(pipeline.add("GET", Array("key".utf8)).index == 1)
        #expect(pipeline.count == 2)
        #expect(
            String(decoding: pipeline.bytes, as: UTF8.self) == "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
    }

    @Test("Arguments are counted in bytes, whatever they hold")
    func binary() {
        var pipeline = RedisPipeline()
        let argument: [UInt8] = [0, 13, 10, 0xFF, 0x24]
        pipeline.add("SET", argument, [])
        #expect(pipeline.bytes == Array("*3\r\n$3\r\nSET\r\n$5\r\n".utf8) + argument + Array("\r\n$0\r\n\r\n".utf8))
    }

    @Test("A transaction wraps the same commands and counts MULTI and EXEC")
    func transaction() {
        var pipeline = RedisPipeline()
        pipeline.add("INCR", Array("a".utf8))
        let transaction = pipeline.asTransaction()
        #expect(transaction.count == 3)
        let text = String(decoding: transaction.bytes, as: UTF8.self)
        #expect(text == "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n")
    }

    @Test("Numbers are read from integers and from strings, and from nothing else")
    func numbers() {
        func number(_ text: String) -> Int64? { RedisReply.string(Array(text.utf8)).number }
        #expect(RedisReply.integer(-3).number == -3)
        #expect(number("9223372036854775807") == .max)
        #expect(number("9223372036854775808") == nil)
        #expect(number("1.5") == nil)
        #expect(number("") == nil)
        #expect(RedisReply.string([0xFF]).number == nil)
        #expect(
            RedisReply.null.number == nil && RedisReply.array([]).number == nil && RedisReply.error("5").number == nil)
    }
}

@Suite("Error replies of Redis")
struct ErrorReplyTests {
    @Test(
        "Each first word has its reason, and tells what to do where something can be done",
        arguments: [
            ("NOAUTH Authentication required.", ScrapeErrorReason.authentication, "set redis.password"),
            ("WRONGPASS invalid username-password pair", .authentication, "check redis.username"),
            ("NOPERM this user has no permissions to run the 'llen' command", .permission, "docs/REDIS.md"),
            ("NOPERM this user has no permissions to run the 'asking' command", .permission, "+asking"),
            ("LOADING Redis is loading the dataset in memory", .loading, "once its data is in memory"),
            ("MASTERDOWN Link with MASTER is down", .masterDown, "replica-serve-stale-data"),
            ("READONLY You can't write against a read only replica.", .readOnly, "proxy"),
            ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory, "maxmemory"),
            ("BUSY Redis is busy running a script.", .busy, "script"),
            ("CLUSTERDOWN Hash slot not served", .clusterDown, "slots have no node"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", .clusterDown, "slots have no node"),
            ("MOVED 3999 127.0.0.1:6381", .server, "redis-cluster://"),
            ("ASK 3999 127.0.0.1:6381", .server, "redis-cluster://"),
            ("ERR This instance has cluster support disabled", .server, "set redis.url to redis://"),
            ("ERR max number of clients reached", .server, "maxclients"),
            ("DENIED Redis is running in protected mode", .server, "password"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", .wrongType, ""),
            ("ERR unknown command", .server, ""), ("", .server, ""), ("NOPERMX", .server, ""),
            ("noauth in small letters", .server, ""),
        ])
    func reasons(text: String, reason: ScrapeErrorReason, hint: String) {
        let error = RedisError(reply: text)
        #expect(error.reason == reason)
        #expect(error.message.hasPrefix("Redis: " + text))
        #expect(hint.isEmpty ? error.message == "Redis: " + text : error.message.contains(hint), "\(error.message)")
    }

    @Test("What is the server's state concerns all commands, what is a key's or a command's does not")
    func concerns() {
        let all: Set<ScrapeErrorReason> = [.authentication, .loading, .masterDown, .busy, .clusterDown]
        for reason in ScrapeErrorReason.allCases {
            #expect(RedisError(reason, "x").concernsAllCommands == all.contains(reason), "\(reason)")
        }
    }
}
