import CHiredis
import Glibc
package import Model
package import Platform

/// One connection to Redis: a socket of ours, by TLS where asked for, and hiredis' parser for the replies. Every call has
/// a deadline that holds for the whole of it, however the far side drips or hangs. Used by one thread at a time.
package final class RedisConnection: RedisClient {
    private let stream: RedisStream
    private let reader: UnsafeMutablePointer<redisReader>
    private let clock: Clock
    /// Ends a call early when it wakes; not drained here.
    private let interrupt: Waker?
    private let endpoint: RedisEndpoint

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
        guard let reader = redisReaderCreate() else {
            throw RedisError(.connection, "no memory for a reply parser")
        }
        self.reader = reader
        self.clock = clock
        self.interrupt = interrupt
        self.endpoint = endpoint
        try shakeHands(deadline: deadline)
        try logIn(deadline: deadline)
    }

    deinit {
        redisReaderFree(reader)
    }

    private func shakeHands(deadline: MonotonicTime) throws(RedisError) {
        while true {
            switch try stream.handshake() {
            case .bytes: return
            case .wait(let events): _ = try wait(for: events, deadline: deadline)
            case .closed:
                throw RedisError(.tls, "\(endpoint.description) closed the connection in the TLS handshake; is it a TLS port?")
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
        // For CLIENT LIST; an ACL may forbid it.
        pipeline.add("CLIENT", Array("SETNAME".utf8), Array("asynq-collector".utf8))
        let replies = try roundTrip(pipeline, deadline: deadline)
        for reply in replies.prefix(required) {
            if let text = reply.errorText { throw RedisError(reply: text) }
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

    /// POLLRDHUP of poll(2), which Glibc's headers show with _GNU_SOURCE only.
    private static let peerHasClosed: Int16 = 0x2000

    /// Whether the far side has closed the connection since the last reply: it was idle for too long, or Redis is gone.
    var isClosedByPeer: Bool {
        var entry = pollfd(fd: descriptor, events: Self.peerHasClosed, revents: 0)
        return Glibc.poll(&entry, 1, 0) > 0
    }

    func timeoutError() -> RedisError { RedisError(.timeout, "\(endpoint.description) did not answer in time") }

    func send(_ bytes: [UInt8], from start: Int) throws(RedisError) -> StreamProgress {
        try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in
            try stream.send(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[start...])))
        }
    }

    /// Feeds the parser with what is there; returns what to poll for next.
    func receive(_ buffer: inout [UInt8]) throws(RedisError) -> Int16 {
        repeat {
            let progress = try buffer.withUnsafeMutableBufferPointer { buffer throws(RedisError) in
                try stream.receive(UnsafeMutableRawBufferPointer(buffer))
            }
            switch progress {
            case .wait(let events): return events
            case .closed: throw closedError()
            case .bytes(let count):
                let code = buffer.withUnsafeBytes { bytes in
                    redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
                }
                if code != REDIS_OK { throw protocolError() }
            }
        } while stream.hasPendingBytes
        return Int16(POLLIN)
    }

    func closedError() -> RedisError {
        RedisError(.connection, "Redis at \(endpoint.description) closed the connection")
    }

    func nextReply() throws(RedisError) -> RedisReply? {
        var raw: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &raw) == REDIS_OK else { throw protocolError() }
        guard let raw else { return nil }
        defer { freeReplyObject(raw) }
        return RedisReply(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
    }

    private func protocolError() -> RedisError {
        let text = withUnsafePointer(to: reader.pointee.errstr) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 128) { String(cString: $0) }
        }
        return RedisError(.protocolError, "\(endpoint.description) does not speak the Redis protocol: \(text)")
    }
}
