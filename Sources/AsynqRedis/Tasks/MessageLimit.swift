import Model
import Redis

/// How much of tasks' messages is read at once. A message holds the payload of its task and may have any size, so its length is asked
/// for first (HSTRLEN): neither Redis nor we hold more than a few megabytes of them.
struct MessageLimit {
    /// The most bytes at once. A message that is larger is never read.
    static let bytes = 4 << 20
    private static let leastAllowance = 64 << 10

    /// After a failure one message at a time, until some could be read; then more with each success.
    private var allowance = bytes

    /// What one round trip may ask for.
    struct Room {
        private var left: Int
        private var isEmpty = true

        fileprivate init(_ left: Int) {
            self.left = left
        }

        /// Takes room for a message; the first one finds it always.
        mutating func take(_ length: Int64) -> Bool {
            guard isEmpty || length <= left else { return false }
            left -= Int(clamping: length)
            isEmpty = false
            return true
        }
    }

    var room: Room { Room(allowance) }

    /// The read failed, perhaps for the size of its messages.
    mutating func recordFailure() { allowance = 0 }

    mutating func recordSuccess() { allowance = min(Self.bytes, max(Self.leastAllowance, allowance * 2)) }

    /// nil for a message that may be read.
    static func refusal(_ length: Int64, queue: QueueName, id: [UInt8]) -> RedisError? {
        if length <= bytes { return nil }
        let id = ForeignText(id).cut(to: 64).printable
        return RedisError(
            .limit,
            "queue \(queue.text): the message of task \(id) has \(length) bytes; of more than \(bytes) it is not read")
    }
}
