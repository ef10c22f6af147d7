import NIOCore
import Synchronization

/// The parts of the shared limits that the connections of one listener hold, and the order in which they became idle.
final class ListenerLimits: Sendable {
    /// A connection as the listener knows it.
    final class Entry: Sendable {
        fileprivate let channel: any Channel
        /// The time when it became idle: nanoseconds of the event loops' clock, 0 while it is busy.
        private let idleSince: Atomic<UInt64>

        fileprivate init(_ channel: any Channel) {
            self.channel = channel
            idleSince = Atomic(max(1, NIODeadline.now().uptimeNanoseconds))
        }

        fileprivate var idleSinceNanoseconds: UInt64? {
            let since = idleSince.load(ordering: .relaxed)
            return since == 0 ? nil : since
        }

        func becomeBusy() { idleSince.store(0, ordering: .relaxed) }
        func becomeIdle(at now: NIODeadline) { idleSince.store(max(1, now.uptimeNanoseconds), ordering: .relaxed) }
    }

    let limits: HTTPLimits
    private let bodies: Int
    private let streams: Int
    private let descriptors: Int
    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])
    private let quiescing = Atomic<Bool>(false)

    init(_ limits: HTTPLimits) {
        self.limits = limits
        bodies = limits.memory.bodies.addListener()
        streams = limits.memory.streams.addListener()
        descriptors = limits.memory.descriptors.addListener()
    }

    // MARK: Connections

    /// Lets a connection in. If there are too many, the one that has idled longest is closed for it.
    ///
    /// - Returns: The share that it may hold; nil, counted and told, where there are too many and none idles.
    func open(_ channel: any Channel) -> ConnectionShare? {
        guard holdConnection() || closeOldestIdle() && holdConnection() else {
            limits.recordRefusedConnection(from: channel.remoteAddress)
            return nil
        }
        let entry = Entry(channel)
        entries.withLock { $0[ObjectIdentifier(channel)] = entry }
        // It was accepted just before the listener closed: no request has begun.
        if isQuiescing { channel.close(promise: nil) }
        let share = ConnectionShare(self, entry)
        let loopBound = NIOLoopBound(share, eventLoop: channel.eventLoop)
        channel.closeFuture.hop(to: channel.eventLoop).whenComplete { [weak self] _ in
            loopBound.value.close()
            self?.close(channel)
        }
        return share
    }

    /// Takes a descriptor and the memory of a connection.
    private func holdConnection() -> Bool {
        let memory = limits.memory
        guard openConnections < limits.maxConnections, memory.descriptors.hold(1, for: descriptors) else {
            return false
        }
        if memory.streams.hold(HTTPMemory.connectionBytes, for: streams) { return true }
        memory.descriptors.release(1, for: descriptors)
        return false
    }

    /// Closes the connection that has idled longest. Returns false where none does.
    func closeOldestIdle() -> Bool {
        let oldest = entries.withLock { entries -> Entry? in
            let idle = entries.values.compactMap { entry in entry.idleSinceNanoseconds.map { (entry, $0) } }
            return idle.min { $0.1 < $1.1 }?.0
        }
        guard let channel = oldest?.channel else { return false }
        limits.recordRefusedConnection(from: channel.remoteAddress)
        // Its place is free at once, and its descriptor when the event loop has closed it.
        close(channel)
        channel.close(promise: nil)
        return true
    }

    private func close(_ channel: any Channel) {
        guard entries.withLock({ $0.removeValue(forKey: ObjectIdentifier(channel)) }) != nil else { return }
        limits.memory.descriptors.release(1, for: descriptors)
        limits.memory.streams.release(HTTPMemory.connectionBytes, for: streams)
    }

    var openConnections: Int { entries.withLock { $0.count } }

    private var channels: [any Channel] { entries.withLock { $0.values.map(\.channel) } }

    var isQuiescing: Bool { quiescing.load(ordering: .sequentiallyConsistent) }

    /// Lets each connection end after its present request.
    func quiesce() {
        quiescing.store(true, ordering: .sequentiallyConsistent)
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    /// Cuts off the connections that are left.
    func close() {
        for channel in channels { channel.close(promise: nil) }
    }

    // MARK: Bytes

    fileprivate func holdBody(_ count: Int, beside held: Int) -> Bool {
        limits.memory.bodies.hold(count, for: bodies, connectionHolds: held)
    }

    fileprivate func releaseBody(_ count: Int) { limits.memory.bodies.release(count, for: bodies) }

    fileprivate func holdHead(_ count: Int, beside held: Int) -> Bool {
        limits.memory.streams.hold(
            count, for: streams, connectionHolds: held, keeping: limits.memory.keptForConnections)
    }

    fileprivate func releaseHead(_ count: Int) { limits.memory.streams.release(count, for: streams) }
}

/// The part that one connection holds of its listener's, until it is closed. It is used on the connection's event loop
/// only.
final class ConnectionShare {
    let listener: ListenerLimits
    /// The entry; nil where there is no listener to tell (in tests).
    private let entry: ListenerLimits.Entry?
    private(set) var bodyBytes = 0
    private(set) var headBytes = 0
    private var isBusy = false
    private var isClosed = false

    init(_ listener: ListenerLimits, _ entry: ListenerLimits.Entry? = nil) {
        self.listener = listener
        self.entry = entry
    }

    deinit {
        close()
    }

    var limits: HTTPLimits { listener.limits }

    /// Records that a request has begun.
    func becomeBusy() {
        if isBusy { return }
        isBusy = true
        entry?.becomeBusy()
    }

    /// Records that all requests are answered.
    func becomeIdle(at now: NIODeadline) {
        if !isBusy { return }
        isBusy = false
        entry?.becomeIdle(at: now)
    }

    /// Holds bytes of a body. Returns false, and holds none, where there are too few.
    func holdBody(_ count: Int) -> Bool {
        guard !isClosed, listener.holdBody(count, beside: bodyBytes) else { return false }
        bodyBytes += count
        return true
    }

    func releaseBody(_ count: Int) {
        if isClosed || count == 0 { return }
        bodyBytes -= count
        listener.releaseBody(count)
    }

    /// Holds bytes of heads, streams and answers that wait for windows.
    func holdHead(_ count: Int) -> Bool {
        guard !isClosed, listener.holdHead(count, beside: headBytes) else { return false }
        headBytes += count
        return true
    }

    func releaseHead(_ count: Int) {
        if isClosed || count == 0 { return }
        headBytes -= count
        listener.releaseHead(count)
    }

    /// Returns all of it.
    func close() {
        if isClosed { return }
        releaseBody(bodyBytes)
        releaseHead(headBytes)
        isClosed = true
    }
}
