import Model

/// The place of one command's reply among those of its pipeline, and how that reply is read.
///
///     let pending = pipeline.llen(key)
///     let replies = try client.roundTrip(pipeline, deadline: deadline)
///     let count = try replies[pending]
package struct Ask<Reply>: Sendable {
    typealias Read = @Sendable (RedisReply) throws(RedisError) -> Reply?

    let index: Int
    fileprivate let command: StaticString
    /// Reads the reply. Returns nil for a reply of a kind that the command does not give.
    fileprivate let read: Read

    init(index: Int, command: StaticString, read: @escaping Read) {
        self.index = index
        self.command = command
        self.read = read
    }

    /// Returns the same command with a reply that is read further. `transform` throws for a reply that it can't read.
    package func map<Other>(_ transform: @escaping @Sendable (Reply) throws(RedisError) -> Other) -> Ask<Other> {
        Ask<Other>(index: index, command: command) { [read] reply throws(RedisError) in
            guard let value = try read(reply) else { return nil }
            return try transform(value)
        }
    }
}

extension [RedisReply] {
    /// Returns the reply to one command; nil where it is `.unanswered`.
    ///
    /// - Throws: `RedisError` with what Redis refused, or `.malformed` for a reply of a kind that the command does not
    ///   give.
    package subscript<Reply>(ask: Ask<Reply>) -> Reply? {
        get throws(RedisError) {
            switch self[ask.index] {
            case .unanswered: return nil
            case .error(let text): throw RedisError(reply: text)
            case let reply:
                if let value = try ask.read(reply) { return value }
                throw RedisError(.malformed, "\(ask.command) gave a reply of another kind")
            }
        }
    }
}
