import Model
import ProtobufWire
import Redis
import Testing

@testable import AsynqRedis

@Suite("The reply to a look at a task's message")
struct StoredTaskReplyTests {
    private static let queue = QueueName("mails")

    private static func read(_ reply: RedisReply) throws(RedisError) -> StoredTask? {
        try StoredTask(reply: reply, queue: queue, names: CarriedNames())
    }

    private static func error(_ reply: RedisReply) -> RedisError? {
        do throws(RedisError) {
            _ = try read(reply)
            return nil
        } catch {
            return error
        }
    }

    @Test("It is the task, or nothing where the task exists no more")
    func task() throws {
        var writer = WireWriter()
        writer.string(TaskMessageField.type.rawValue, "mail")
        writer.int(TaskMessageField.retried.rawValue, 3)
        let task = try #require(try Self.read(.array([.string(writer.bytes)])))
        #expect(task.type == TaskType("mail") && task.retried == 3)
        for reply in [.array([.null]), .array([]), .null] as [RedisReply] { #expect(try Self.read(reply) == nil) }
    }

    @Test("A refusal, and a message that can't be read, are errors that name the queue; one of Redis' state does not")
    func errors() {
        let wrong = Self.error(.error("WRONGTYPE Operation against a key holding the wrong kind of value"))
        #expect(
            wrong?.reason == .wrongType && wrong?.message.contains("WRONGTYPE") == true, "\(wrong as Any)"
        )
        let broken = Self.error(.array([.string([0xFF])]))
        #expect(broken?.reason == .malformed && broken?.message.hasPrefix("queue mails: ") == true, "\(broken as Any)")
        let loading = Self.error(.error("LOADING Redis is loading the dataset in memory"))
        #expect(loading?.reason == .loading && loading?.message.contains("mails") == false, "\(loading as Any)")
    }
}
