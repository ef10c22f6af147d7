import Glibc
package import Model
package import Platform

/// One connection to Redis: a socket of ours, by TLS where asked for, and hiredis' parser for the replies. Every call has
/// a deadline that holds for the whole of it, however the far side drips or hangs. Used by one thread at a time.
package final class RedisConnection: RedisClient {
    private let stream: RedisStream
    private let parser: ReplyParser
    private let clock: Clock
    /// Ends a call early when it wakes; not drained here.
    private let interrupt: Waker?
    private let endpoint: RedisEndpoint
    /// Whether it has done a round trip since the login: then it may have been idle since, and closed for it.
    fileprivate(set) var isReused = false

    /// Connects and logs in: AUTH, SELECT and CLIENT SETNAME in one round trip.
    package init(
        _ endpoint: RedisEndpoint, clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) {
        // Certificates are read for each connection: a renewed one counts from the next on.
        let context: TLSContext?
        if let options = endpoint.tls { context = try TLSContext(options) } else { context = nil }
        let socket = try SocketConnector(clock: clock, deadline: deadline, interrupt: interrupt).connect(to: endpoint)
        do throws(RedisError) {
            let session = try context?.makeSession(socket, host: endpoint.host)
            stream = RedisStream(socket, tls: session, name: endpoint.description)
        } catch {
            close(socket)
            throw error
        }
        parser = try ReplyParser(name: endpoint.description)
        self.clock = clock
        self.interrupt = interrupt
        self.endpoint = endpoint
        try shakeHands(deadline: deadline)
        try logIn(deadline: deadline)
        isReused = false
    }

    private func shakeHands(deadline: MonotonicTime) throws(RedisError) {
        while true {
            switch try stream.handshake() {
            case .bytes: return
            case .wait(let events): _ = try wait(for: events, deadline: deadline)
            case .closed:
                throw RedisError(
                    .tls, "\(endpoint.description) closed the connection in the TLS handshake; is it a TLS port?")
            }
        }
    }

    private func logIn(deadline: MonotonicTime) throws(RedisError) {
        var pipeline = RedisPipeline()
        if let password = endpoint.password {
            if let username = endpoint.username {
                pipeline.add("AUTH", Array(username.utf8), Array(password.utf8))
            } else {
                pipeline.add("AUTH", Array(password.utf8))
            }
        }
        if endpoint.database != 0 { pipeline.add("SELECT", Array(String(endpoint.database).utf8)) }
        let required = pipeline.count
        // For CLIENT LIST.
        pipeline.add("CLIENT", Array("SETNAME".utf8), Array("asynq-collector".utf8))
        let replies = try roundTrip(pipeline, deadline: deadline)
        for reply in replies.prefix(required) {
            if let text = reply.errorText { throw RedisError(reply: text) }
        }
        // An ACL may forbid the name, and a proxy not know the command. What else is said to the first command of all
        // concerns the connection: too many clients, a password is wanted.
        if let text = replies.last?.errorText, !Self.isOnlyAboutCommand(text) { throw RedisError(reply: text) }
    }

    private static func isOnlyAboutCommand(_ text: String) -> Bool {
        let words = text.lowercased()
        return ["noperm", "unknown", "unsupported", "not supported"].contains {
            words.hasPrefix($0) || words.contains(" " + $0)
        }
    }

    /// Sends all commands and reads all replies; writing and reading overlap, so that neither side's buffers fill up.
    package func roundTrip(_ pipeline: RedisPipeline, deadline: MonotonicTime) throws(RedisError) -> [RedisReply] {
        var exchanges = [RedisExchange(self, pipeline)]
        try RedisExchange.run(&exchanges, clock: clock, deadline: deadline, interrupt: interrupt)
        if let failure = exchanges[0].failure { throw failure }
        var replies = exchanges[0].replies
        for (index, command) in pipeline.commands.enumerated() where command.route == .everyNode {
            replies[index] = .array([replies[index]])
        }
        return replies
    }

    private func wait(for events: Int16, deadline: MonotonicTime) throws(RedisError) -> Int16 {
        var entries = [pollfd(fd: descriptor, events: events, revents: 0)]
        guard try RedisExchange.poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt) else {
            throw timeoutError()
        }
        return entries[0].revents
    }

    var descriptor: Int32 { stream.descriptor }

    func timeoutError() -> RedisError { RedisError(.timeout, "\(endpoint.description) did not answer in time") }

    func send(_ bytes: [UInt8], from start: Int) throws(RedisError) -> StreamProgress {
        try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in
            try stream.send(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[start...])))
        }
    }

    /// One read, into the parser.
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

    /// Whether there is more to receive without another poll.
    var hasPendingBytes: Bool { stream.hasPendingBytes }

    func closedError() -> RedisError {
        RedisError(disconnect: "Redis at \(endpoint.description) closed the connection")
    }

    // MARK: Replies

    func beginRoundTrip() { parser.beginRoundTrip() }

    func endRoundTrip() { isReused = true }

    /// Bytes of replies in this round trip.
    var receivedBytes: Int { parser.receivedBytes }

    func nextReply() throws(RedisError) -> RedisReply? { try parser.next() }

    /// Throws if there is more than was asked for: whatever is read next would be taken for the reply to something else.
    func expectNoReply() throws(RedisError) {
        if !parser.hasMore { return }
        if let text = try parser.next()?.errorText { throw RedisError(reply: text) }
        throw RedisError(.protocolError, "\(endpoint.description) sent a reply that it was not asked for")
    }
}
