import Model
import Testing

@testable import Redis

@Suite("Pipelines and replies")
struct PipelineTests {
    @Test("Commands are formatted as the protocol wants them")
    func format() {
        var pipeline = RedisPipeline()
        #expect(pipeline.add("PING") == 0)
        #expect(pipeline.add("GET", Array("key".utf8)) == 1)
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

    @Test("Error replies are sorted by their first word")
    func reasons() {
        let expected: [(String, ScrapeErrorReason)] = [
            ("NOAUTH Authentication required.", .authentication), ("WRONGPASS invalid", .authentication),
            ("NOPERM this user", .permission), ("LOADING Redis is loading", .loading), ("MASTERDOWN Link", .masterDown),
            ("READONLY You can't", .readOnly), ("OOM command not allowed", .outOfMemory), ("BUSY Redis is", .busy),
            ("CLUSTERDOWN Hash slot", .clusterDown), ("MOVED 1 h:1", .server),
            ("WRONGTYPE Operation", .wrongType), ("ERR unknown command", .server), ("", .server), ("NOPERMX", .server),
        ]
        for (text, reason) in expected { #expect(RedisError(reply: text).reason == reason, "\(text)") }
    }
}
