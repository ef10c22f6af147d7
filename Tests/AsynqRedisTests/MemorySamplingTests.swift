import Model
import Platform
import TestSupport
import Testing

@testable import AsynqRedis
@testable import Redis

@Suite("Sampling memory")
struct MemorySamplingTests {
    /// Answers each command by its name and its last word, or by its name.
    private final class AnsweringClient: RedisClient {
        private let answers: [String: RedisReply]

        init(_ answers: [String: RedisReply]) {
            self.answers = answers
        }

        func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
            (0..<pipeline.count).map { index in
                let lines = String(decoding: pipeline.bytes(of: index), as: UTF8.self).split(separator: "\r\n")
                return answers["\(lines[2]) \(lines[lines.count - 1])"] ?? answers[String(lines[2])] ?? .null
            }
        }
    }

    private static func sample(_ answers: [String: RedisReply]) throws -> (bytes: Int64?, errors: [ScrapeErrorReason]) {
        let sample = try MemorySampler.sample(
            AnsweringClient(answers), [QueueSnapshot(name: QueueName("q"))], deadline: .soon)
        return (sample.bytes[QueueName("q")], sample.errors.map(\.reason))
    }

    private static let ids = RedisReply.array(["a", "b"].map { .string(Array($0.utf8)) })

    @Test("The estimate is the collections and their lengths times the mean task")
    func estimate() throws {
        // Two lists of 3 and four sets of 2, 100 bytes each and per task; two groups of 2 tasks.
        let found = try Self.sample([
            "LLEN": .integer(3), "ZCARD": .integer(2), "LRANGE": Self.ids, "ZRANGE": Self.ids, "SMEMBERS": Self.ids,
            "MEMORY": .integer(100),
        ])
        let expected: Int64 = 600 + 1400 + 400
        #expect(found.bytes == expected)
        #expect(found.errors.isEmpty)
    }

    @Test(
        "A snapshot takes the bytes of its queues, nil for those that the sample lacks, and the reasons of its errors")
    func taken() {
        var snapshot = RedisSnapshot(
            queues: ["a", "b"].map { QueueSnapshot(name: QueueName($0)) }, takenAt: WallTime(seconds: 1),
            partialErrors: [.limit])
        snapshot.queues[1].memoryBytes = 5
        var sample = MemorySample()
        sample.bytes = [QueueName("a"): 7, QueueName("c"): 9]
        sample.errors = [RedisError(.permission, "no"), RedisError(.malformed, "what?")]
        snapshot.take(sample)
        #expect(snapshot.queues.map(\.memoryBytes) == [7, nil])
        #expect(snapshot.partialErrors == [.limit, .permission, .malformed])
    }

    @Test("A sampled task that is gone is left out of the mean, and takes nothing where all of them are gone")
    func goneTasks() throws {
        // Two lists of 3 tasks, and six collections of 100 bytes.
        var answers: [String: RedisReply] = [
            "LLEN": .integer(3), "ZCARD": .integer(0), "LRANGE": Self.ids, "MEMORY": .integer(100),
            "MEMORY asynq:{q}:t:b": .null,
        ]
        #expect(try Self.sample(answers).bytes == 600 + 2 * 3 * 100)
        answers["MEMORY asynq:{q}:t:a"] = .null
        let found = try Self.sample(answers)
        #expect(found.bytes == 600 && found.errors.isEmpty)
    }

    @Test("Without sampled tasks the collections count; without anything it is nothing")
    func empty() throws {
        #expect(try Self.sample(["LLEN": .integer(0), "ZCARD": .integer(0)]).bytes == 0)
        #expect(try Self.sample(["LLEN": .integer(5), "ZCARD": .integer(0), "MEMORY": .integer(10)]).bytes == 60)
    }

    @Test(
        "Numbers that make no sense are counted, and crash nothing",
        arguments: [
            RedisReply.integer(.max), .integer(-1), .integer(.min), .string(Array("x".utf8)), .array([]),
        ])
    func nonsense(reply: RedisReply) throws {
        let found = try Self.sample([
            "LLEN": .integer(.max), "ZCARD": .integer(.max), "LRANGE": Self.ids, "ZRANGE": Self.ids,
            "SMEMBERS": Self.ids, "MEMORY": reply,
        ])
        #expect(found.bytes == nil)
        #expect(found.errors == [.malformed])
    }
}
