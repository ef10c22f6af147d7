import CHiredis
import Glibc
package import Model
package import Platform

/// One connection to Redis: a socket of ours, hiredis' parser for the replies. Every call has a deadline that holds for
/// the whole of it, however the far side drips or hangs. Used by one thread at a time.
package final class RedisConnection {
    private static let readBytes = 64 << 10

    private let socket: Int32
    private let reader: UnsafeMutablePointer<redisReader>
    private let clock: Clock
    /// Ends a call early when it wakes; not drained here.
    private let interrupt: Waker?
    private let endpoint: RedisEndpoint

    /// Connects and logs in: AUTH, SELECT and CLIENT SETNAME in one round trip.
    package init(
        _ endpoint: RedisEndpoint, clock: Clock, deadline: MonotonicTime, interrupt: Waker? = nil
    ) throws(RedisError) {
        let socket = try SocketConnector(clock: clock, deadline: deadline, interrupt: interrupt).connect(to: endpoint)
        guard let reader = redisReaderCreate() else {
            close(socket)
            throw RedisError(.connection, "no memory for a reply parser")
        }
        self.socket = socket
        self.reader = reader
        self.clock = clock
        self.interrupt = interrupt
        self.endpoint = endpoint
        try logIn(deadline: deadline)
    }

    deinit {
        redisReaderFree(reader)
        close(socket)
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
        var replies: [RedisReply] = []
        replies.reserveCapacity(pipeline.count)
        var sent = 0
        var buffer = [UInt8](repeating: 0, count: Self.readBytes)
        while replies.count < pipeline.count {
            let wantsToSend = sent < pipeline.bytes.count
            let ready = try wait(for: Int16(POLLIN) | (wantsToSend ? Int16(POLLOUT) : 0), deadline: deadline)
            if wantsToSend && ready & Int16(POLLOUT) != 0 {
                sent += try send(pipeline.bytes, from: sent)
            }
            if ready & ~Int16(POLLOUT) != 0 {
                try receive(&buffer)
                while replies.count < pipeline.count, let reply = try nextReply() { replies.append(reply) }
            }
        }
        return replies
    }

    private func wait(for events: Int16, deadline: MonotonicTime) throws(RedisError) -> Int16 {
        while true {
            let now = clock.monotonic()
            if now >= deadline { throw RedisError(.timeout, "\(endpoint.description) did not answer in time") }
            var entries = [pollfd(fd: socket, events: events, revents: 0)]
            if let interrupt { entries.append(pollfd(fd: interrupt.descriptor, events: Int16(POLLIN), revents: 0)) }
            let count = poll(&entries, nfds_t(entries.count), deadline.milliseconds(from: now))
            if count < 0 && errno != EINTR { throw RedisError(SystemError("poll")) }
            if count <= 0 { continue }
            if entries.count > 1 && entries[1].revents != 0 { throw RedisError(.connection, "interrupted") }
            if entries[0].revents != 0 { return entries[0].revents }
        }
    }

    private func send(_ bytes: [UInt8], from start: Int) throws(RedisError) -> Int {
        let count = bytes.withUnsafeBytes { buffer in
            Glibc.send(socket, buffer.baseAddress.map { $0 + start }, buffer.count - start, Int32(MSG_NOSIGNAL))
        }
        if count < 0 {
            if errno == EAGAIN || errno == EINTR { return 0 }
            throw RedisError(SystemError("sending to Redis at \(endpoint.description)"))
        }
        return count
    }

    private func receive(_ buffer: inout [UInt8]) throws(RedisError) {
        let count = recv(socket, &buffer, buffer.count, 0)
        if count < 0 {
            if errno == EAGAIN || errno == EINTR { return }
            throw RedisError(SystemError("reading from Redis at \(endpoint.description)"))
        }
        if count == 0 { throw RedisError(.connection, "Redis at \(endpoint.description) closed the connection") }
        let code = buffer.withUnsafeBytes { bytes in
            redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
        }
        if code != REDIS_OK { throw protocolError() }
    }

    private func nextReply() throws(RedisError) -> RedisReply? {
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
