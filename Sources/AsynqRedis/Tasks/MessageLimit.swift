import Model
import Redis

/// The limit of tasks' messages that are read at once. A message holds the payload of its task and may have any size,
/// so its length is asked for first (HSTRLEN). Neither Redis nor the collector then holds more than a few megabytes of
/// them.
struct MessageLimit {
    /// The most bytes at once. A larger message is never read.
    static let bytes = 4 << 20
    private static let leastBytes = 64 << 10

    /// The bytes allowed now. After a failure it is one message at a time, until some could be read; then more with
    /// each success.
    private var allowedBytes = bytes

    /// The part that one round trip may ask for.
    struct Portion {
        private var left: Int
        private var isEmpty = true

        fileprivate init(_ left: Int) {
            self.left = left
        }

        /// Takes the space of a message; the first one always fits.
        mutating func take(_ length: Int64) -> Bool {
            guard isEmpty || length <= left else { return false }
            left -= max(0, Int(clamping: length))
            isEmpty = false
            return true
        }
    }

    var portion: Portion { Portion(allowedBytes) }

    /// Records that the read failed, perhaps for the size of its messages.
    mutating func recordFailure() { allowedBytes = 0 }

    mutating func recordSuccess() { allowedBytes = min(Self.bytes, max(Self.leastBytes, allowedBytes * 2)) }

    /// Returns the error for a message that is too large, or nil for one that may be read.
    static func refusal(_ length: Int64, queue: QueueName, id: [UInt8]) -> RedisError? {
        if length <= bytes { return nil }
        let id = ForeignText(id).cut(to: 64).printable
        return RedisError(
            .limit,
            "queue \(queue.text): the message of task \(id) has \(length) bytes; of more than \(bytes) it is not read")
    }
}
