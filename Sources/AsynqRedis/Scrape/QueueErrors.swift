import Model
import Redis

extension RedisError {
    /// An error reply about one queue's key: its message names the queue. What concerns all queues alike stays one message.
    init(reply: String, queue: QueueName) {
        let error = RedisError(reply: reply)
        let isOwn = error.reason == .wrongType || error.reason == .server
        self = isOwn ? RedisError(error.reason, "queue \(queue.text): \(error.message)") : error
    }
}
