import Model
import Testing

@testable import AsynqRedis

@Suite("Keys")
struct AsynqKeysTests {
    @Test("A queue's keys carry its name verbatim")
    func keys() {
        #expect(AsynqKeys.queue(QueueName("a}b c"), "pending") == Array("asynq:{a}b c}:pending".utf8))
        #expect(AsynqKeys.task(QueueName([0xFF]), id: [0]) == Array("asynq:{".utf8) + [0xFF] + Array("}:t:".utf8) + [0])
        #expect(AsynqKeys.group(QueueName("q"), Array("g:1".utf8)) == Array("asynq:{q}:g:g:1".utf8))
    }
}
