import Glibc
import Model
import Platform

/// One connection's part in an exchange: the bytes to be sent over it, and the replies that have come back. Several run
/// side by side on one thread, so that a Cluster's nodes are asked at the same time.
///
///     begin   what has come unasked since the last round trip? → failure (closed, or a reply too many)
///     step    send and receive in turns, until there is a reply for each command → done, or failure
struct RedisExchange {
    private static let readBytes = 64 << 10

    private let link: RedisLink
    private let pipeline: RedisPipeline
    private(set) var replies: [RedisReply] = []
    /// The failure of the exchange. Half a reply may be left in the connection then: it has to be dropped, unless
    /// `wasSent` is false.
    private(set) var failure: RedisError?
    /// True if anything was, or may have been, sent.
    private(set) var wasSent = false
    private var sent = 0
    // These are the events to poll for before the next step each way; under TLS each may need the other direction.
    private var sendEvents = Int16(POLLOUT)
    private var receiveEvents = Int16(POLLIN)

    init(_ link: RedisLink, _ pipeline: RedisPipeline) {
        self.link = link
        self.pipeline = pipeline
        replies.reserveCapacity(pipeline.count)
    }

    /// True if the far side hung up where the next reply was to a command that may be left out, or before it said
    /// anything.
    var hungUpAtOptional: Bool {
        guard failure?.disconnect != nil, wasSent, replies.count < pipeline.count else { return false }
        return pipeline.commands[replies.count].isOptional || (replies.isEmpty && pipeline.hasOptional)
    }

    private var isDone: Bool { failure != nil || replies.count == pipeline.count }
    private var wantsToSend: Bool { sent < pipeline.bytes.count }

    /// Runs all of them until each is done, has failed, or the deadline has passed.
    /// - Throws: `RedisError` only when it is interrupted, or can't wait: then half a reply may be left in each of the
    ///   connections.
    static func run(
        _ exchanges: inout [RedisExchange], clock: Clock, deadline: MonotonicTime, interrupt: Waker?
    ) throws(RedisError) {
        var buffer = [UInt8](repeating: 0, count: readBytes)
        for index in exchanges.indices {
            exchanges[index].perform { exchange throws(RedisError) in try exchange.begin(&buffer) }
        }
        while true {
            let open = exchanges.indices.filter { !exchanges[$0].isDone }
            if open.isEmpty { return }
            var entries = open.map { index in
                let exchange = exchanges[index]
                let events = exchange.receiveEvents | (exchange.wantsToSend ? exchange.sendEvents : 0)
                return pollfd(fd: exchange.link.descriptor, events: events, revents: 0)
            }
            guard try poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt) else {
                for index in open { exchanges[index].failure = exchanges[index].link.timeoutError() }
                return
            }
            for (index, entry) in zip(open, entries) where entry.revents != 0 {
                exchanges[index].perform { exchange throws(RedisError) in
                    try exchange.step(ready: entry.revents, &buffer)
                }
            }
        }
    }

    private mutating func perform(_ body: (inout RedisExchange) throws(RedisError) -> Void) {
        do throws(RedisError) {
            try body(&self)
            if isDone { link.endRoundTrip() }
        } catch {
            failure = error
            // The connection was good before and answered nothing: another one may succeed.
            if link.isReused && link.receivedBytes == 0 { failure?.markStale() }
        }
    }

    private func begin(_ buffer: inout [UInt8]) throws(RedisError) {
        link.beginRoundTrip()
        if !link.isReused { return }
        switch try link.receive(&buffer) {
        case .wait: return
        case .closed: throw link.closedError()
        case .bytes: try link.expectNoReply()
        }
    }

    private mutating func step(ready: Int16, _ buffer: inout [UInt8]) throws(RedisError) {
        let isBroken = ready & ~(Int16(POLLIN) | Int16(POLLOUT)) != 0
        do throws(RedisError) {
            if wantsToSend && ready & sendEvents != 0 { try send() }
            if ready & receiveEvents != 0 || isBroken { try receive(&buffer) }
        } catch {
            throw lastWords(error, &buffer)
        }
    }

    private mutating func send() throws(RedisError) {
        wasSent = true
        switch try link.send(pipeline.bytes, from: sent) {
        case .bytes(let count):
            sent += count
            sendEvents = Int16(POLLOUT)
        case .wait(let events): sendEvents = events
        case .closed: throw link.closedError()
        }
    }

    private mutating func receive(_ buffer: inout [UInt8]) throws(RedisError) {
        receiveEvents = Int16(POLLIN)
        repeat {
            switch try link.receive(&buffer) {
            case .bytes: try takeReplies()
            case .closed: throw link.closedError()
            case .wait(let events):
                receiveEvents = events
                return
            }
        } while link.hasPendingBytes
    }

    private mutating func takeReplies() throws(RedisError) {
        while replies.count < pipeline.count, let reply = try link.nextReply() { replies.append(reply) }
        if replies.count == pipeline.count { try link.expectNoReply() }
    }

    /// Returns the far side's last words where it has ended the connection; they may lie unread behind a send that
    /// failed. A Redis that takes no more clients says so before it is asked, and closes.
    private mutating func lastWords(_ error: RedisError, _ buffer: inout [UInt8]) -> RedisError {
        guard error.disconnect != nil else { return error }
        do throws(RedisError) {
            while !isDone, case .bytes = try link.receive(&buffer) { try takeReplies() }
        } catch {
            return error.disconnect == nil ? error : self.lastWords(instead: error)
        }
        return lastWords(instead: error)
    }

    private func lastWords(instead error: RedisError) -> RedisError {
        guard replies.count == 1, let text = replies[0].errorText else { return error }
        return text.hasPrefix("ERR ") || text.hasPrefix("DENIED ") ? link.refusal(text) : error
    }

    /// Waits until one of the sockets is ready. Returns false when the deadline has passed.
    /// - Throws: `RedisError` when it is interrupted, or can't wait.
    static func poll(
        _ entries: inout [pollfd], clock: Clock, deadline: MonotonicTime, interrupt: Waker?
    ) throws(RedisError) -> Bool {
        let count = entries.count
        if let interrupt { entries.append(pollfd(fd: interrupt.descriptor, events: Int16(POLLIN), revents: 0)) }
        defer { entries.removeLast(entries.count - count) }
        while true {
            let now = clock.monotonic()
            if now >= deadline { return false }
            let ready = Glibc.poll(&entries, nfds_t(entries.count), deadline.milliseconds(from: now))
            if ready < 0 && errno != EINTR { throw RedisError(SystemError("poll")) }
            if ready <= 0 { continue }
            if interrupt != nil && entries[count].revents != 0 { throw RedisError(.connection, "interrupted") }
            return true
        }
    }
}
