import Glibc
import Model

/// A connected socket to Redis, by TLS where asked for, and hiredis' parser of its replies. One thread at a time uses
/// it.
final class RedisLink {
    private let stream: RedisStream
    private let parser: ReplyParser
    let endpoint: RedisEndpoint
    /// True if it has done a round trip since the login: then it may have been closed while it was idle.
    private(set) var isReused = false

    /// Makes a link over a connected stream.
    /// - Throws: `RedisError` where the parser has no memory.
    init(_ stream: RedisStream, to endpoint: RedisEndpoint) throws(RedisError) {
        self.stream = stream
        self.endpoint = endpoint
        parser = try ReplyParser(
            name: endpoint.description, limits: ReplyLimits(bytes: endpoint.maxReplyBytes),
            memory: endpoint.replyMemory)
    }

    var descriptor: Int32 { stream.descriptor }

    /// Takes one step of the TLS handshake.
    /// - Throws: `RedisError` where the handshake fails.
    func handshake() throws(RedisError) -> StreamProgress { try stream.handshake() }

    /// Sends as many bytes as the socket takes.
    /// - Throws: `RedisError` where the socket fails.
    func send(_ bytes: [UInt8], from start: Int) throws(RedisError) -> StreamProgress {
        try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in
            try stream.send(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[start...])))
        }
    }

    /// Reads once, into the parser.
    /// - Throws: `RedisError` where the socket fails, or the bytes are not Redis' protocol.
    func receive(_ buffer: inout [UInt8]) throws(RedisError) -> StreamProgress {
        let progress = try buffer.withUnsafeMutableBufferPointer { buffer throws(RedisError) in
            try stream.receive(UnsafeMutableRawBufferPointer(buffer))
        }
        if case .bytes(let count) = progress {
            try buffer.withUnsafeBufferPointer { buffer throws(RedisError) in
                try parser.feed(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[..<count])))
            }
        }
        return progress
    }

    /// True if there is more to receive without another poll.
    var hasPendingBytes: Bool { stream.hasPendingBytes }

    // MARK: Round trips

    func beginRoundTrip() { parser.beginRoundTrip() }

    func endRoundTrip() {
        isReused = true
        parser.endRoundTrip()
    }

    /// Records that what follows is the first use.
    func endLogin() { isReused = false }

    /// The number of bytes of replies in this round trip.
    var receivedBytes: Int { parser.receivedBytes }

    /// Returns the next reply, or nil while it is not whole.
    /// - Throws: `RedisError` where the bytes are not Redis' protocol, or beyond the limits.
    func nextReply() throws(RedisError) -> RedisReply? { try parser.next() }

    /// Checks that the far side has sent nothing more.
    /// - Throws: `RedisError` if it has: the next bytes would be taken for the reply to another command.
    func expectNoReply() throws(RedisError) {
        if !parser.hasMore { return }
        if let text = try parser.next()?.errorText { throw refusal(text) }
        throw RedisError(.protocolError, "\(endpoint.description) sent a reply that it was not asked for")
    }

    // MARK: Errors

    func refusal(_ text: String) -> RedisError {
        RedisError(reply: text, from: endpoint.peer, at: endpoint.description)
    }

    func timeoutError() -> RedisError { RedisError(.timeout, "\(endpoint.description) did not answer in time") }

    func closedError() -> RedisError { RedisError(disconnect: "\(endpoint.name) closed the connection") }
}
