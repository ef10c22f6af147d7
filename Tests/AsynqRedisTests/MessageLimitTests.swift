import Model
import Redis
import Testing

@testable import AsynqRedis

@Suite("How much of messages is read at once")
struct MessageLimitTests {
    /// How many of so many messages of a length one round trip takes.
    private func taken(_ limit: MessageLimit, _ count: Int, of bytes: Int64) -> Int {
        var portion = limit.portion
        return (0..<count).count { _ in portion.take(bytes) }
    }

    @Test("Four megabytes; the first message finds space always, a later one that is smaller may fit still")
    func space() {
        let limit = MessageLimit()
        #expect(taken(limit, 10, of: 1 << 20) == 4)
        #expect(taken(limit, 10, of: 5 << 20) == 1)
        #expect(taken(limit, 10_000, of: 0) == 10_000)
        var portion = limit.portion
        #expect(portion.take(3 << 20) && !portion.take(2 << 20) && portion.take(1 << 20) && !portion.take(1))
    }

    @Test("A length that can't be one takes nothing and adds nothing")
    func impossibleLengths() {
        var portion = MessageLimit().portion
        #expect(portion.take(.min) && portion.take(.min) && portion.take(4 << 20) && !portion.take(1))
        var other = MessageLimit().portion
        #expect(other.take(.max) && !other.take(.max) && other.take(.min))
    }

    @Test("After a failure one by one, then more with each success")
    func failure() {
        var limit = MessageLimit()
        limit.recordFailure()
        #expect(taken(limit, 10, of: 1) == 1)
        var counts: [Int] = []
        for _ in 0..<8 {
            limit.recordSuccess()
            counts.append(taken(limit, 1000, of: 64 << 10))
        }
        #expect(counts == [1, 2, 4, 8, 16, 32, 64, 64])
    }

    @Test("A message of four megabytes may be read; of a larger one is told which it is")
    func refusal() throws {
        let queue = QueueName("q")
        #expect(MessageLimit.refusal(4 << 20, queue: queue, id: [0x61]) == nil)
        let refusal = try #require(MessageLimit.refusal(4 << 20 + 1, queue: queue, id: Array("a".utf8)))
        #expect(refusal.reason == .limit)
        #expect(
            refusal.message.hasPrefix("queue q: the message of task a") && refusal.message.contains("4194305 bytes"))
    }
}
