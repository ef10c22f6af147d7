import Model
import Redis

extension RedisError {
    /// Returns the words for people that name the key as well.
    func text(about key: [UInt8]) -> String { "\(ForeignText(key).printable): \(message)" }

    /// Returns the same error with the name of the queue whose key it is about. An error that concerns all queues alike
    /// stays one message.
    func about(_ queue: QueueName) -> RedisError {
        switch reason {
        case .wrongType, .server, .malformed: RedisError(reason, "queue \(queue.text): \(message)")
        default: self
        }
    }
}
