import Model
import Redis

extension RedisError {
    /// Returns the same error with the name of the queue whose key it is about. An error that concerns all queues alike
    /// stays one message.
    func about(_ queue: QueueName) -> RedisError {
        switch reason {
        case .wrongType, .server, .malformed: RedisError(reason, "queue \(queue.text): \(message)")
        default: self
        }
    }
}
