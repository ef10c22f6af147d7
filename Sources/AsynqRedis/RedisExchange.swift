import Glibc
import Model
import Platform

/// One connection's part in an exchange: what is to be sent over it, and what has come back. Several run side by side on
/// one thread, so that a Cluster's nodes are asked at the same time.
struct RedisExchange {
    private static let readBytes = 64 << 10

    private let connection: RedisConnection
    private let pipeline: RedisPipeline
    private(set) var replies: [RedisReply] = []
    /// Once set, half a reply may be left in the connection: it has to be dropped.
    private(set) var failure: RedisError?
    private var sent = 0
    // What to poll for before the next step each way; under TLS each may want the other direction.
    private var sendEvents = Int16(POLLOUT)
    private var receiveEvents = Int16(POLLIN)

    init(_ connection: RedisConnection, _ pipeline: RedisPipeline) {
        self.connection = connection
        self.pipeline = pipeline
        replies.reserveCapacity(pipeline.count)
    }

    private var isDone: Bool { failure != nil || replies.count == pipeline.count }
    private var wantsToSend: Bool { sent < pipeline.bytes.count }

    /// Runs all of them until each is done, has failed, or the deadline has passed. Throws only when it is interrupted.
    static func run(
        _ exchanges: inout [RedisExchange], clock: Clock, deadline: MonotonicTime, interrupt: Waker?
    ) throws(RedisError) {
        var buffer = [UInt8](repeating: 0, count: readBytes)
        while true {
            let open = exchanges.indices.filter { !exchanges[$0].isDone }
            if open.isEmpty { return }
            var entries = open.map { index in
                let exchange = exchanges[index]
                let events = exchange.receiveEvents | (exchange.wantsToSend ? exchange.sendEvents : 0)
                return pollfd(fd: exchange.connection.descriptor, events: events, revents: 0)
            }
            guard try poll(&entries, clock: clock, deadline: deadline, interrupt: interrupt) else {
                for index in open { exchanges[index].failure = exchanges[index].connection.timeoutError() }
                return
            }
            for (index, entry) in zip(open, entries) where entry.revents != 0 {
                do throws(RedisError) {
                    try exchanges[index].step(ready: entry.revents, &buffer)
                } catch {
                    exchanges[index].failure = error
                }
            }
        }
    }

    private mutating func step(ready: Int16, _ buffer: inout [UInt8]) throws(RedisError) {
        let isBroken = ready & ~(Int16(POLLIN) | Int16(POLLOUT)) != 0
        if wantsToSend && ready & sendEvents != 0 {
            switch try connection.send(pipeline.bytes, from: sent) {
            case .bytes(let count):
                sent += count
                sendEvents = Int16(POLLOUT)
            case .wait(let events): sendEvents = events
            case .closed: throw connection.closedError()
            }
        }
        if ready & receiveEvents != 0 || isBroken {
            receiveEvents = try connection.receive(&buffer)
            while replies.count < pipeline.count, let reply = try connection.nextReply() { replies.append(reply) }
        }
    }

    /// Waits until one of the sockets is ready: true; false when the deadline has passed.
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
