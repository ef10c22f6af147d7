import CHiredis

/// One reply of Redis (RESP2).
package enum RedisReply: Sendable, Equatable {
    case null
    case integer(Int64)
    /// A bulk string or a status: bytes, never assumed to be UTF-8.
    case string([UInt8])
    case array([RedisReply])
    case error(String)
    /// The reply is missing: the Cluster's node that holds the key could not be asked. The client tells the reason,
    /// once for all commands.
    case unanswered

    /// Copies the reply as hiredis built it. Redis 6 and later may send the types of RESP3 only after HELLO 3, which is
    /// never sent. One that comes all the same reads as null.
    init(_ reply: UnsafePointer<redisReply>) {
        switch reply.pointee.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .string(Self.bytes(of: reply))
        case REDIS_REPLY_ERROR: self = .error(String(decoding: Self.bytes(of: reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.pointee.element, count: Int(reply.pointee.elements))
            self = .array(elements.map { $0.map { RedisReply($0) } ?? .null })
        default: self = .null
        }
    }

    private static func bytes(of reply: UnsafePointer<redisReply>) -> [UInt8] {
        [UInt8](UnsafeRawBufferPointer(start: reply.pointee.str, count: Int(reply.pointee.len)))
    }

    /// The text of an error reply.
    package var errorText: String? {
        if case .error(let text) = self { text } else { nil }
    }

    /// The number of an integer, or of a string that holds one (GET of a counter).
    package var number: Int64? {
        switch self {
        case .integer(let value): value
        case .string(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
        default: nil
        }
    }

    /// The score of a sorted set's member, in whole numbers, as Asynq's scores are: Redis writes a large one as 1e+20. It
    /// is far enough from both ends of its type for a sum with any time of a collector's own.
    package var score: Int64? {
        guard let bytes, let value = Double(String(decoding: bytes, as: UTF8.self)), value.isFinite else { return nil }
        let bounds: ClosedRange<Int64> = .min / 2 ... .max / 2
        guard let score = Int64(exactly: value.rounded(.down)) else {
            return value < 0 ? bounds.lowerBound : bounds.upperBound
        }
        return min(max(score, bounds.lowerBound), bounds.upperBound)
    }

    package var bytes: [UInt8]? {
        if case .string(let bytes) = self { bytes } else { nil }
    }

    package var elements: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}
