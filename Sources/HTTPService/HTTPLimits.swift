import NIOCore
import Platform
import Synchronization

/// The limits and counters of all listeners of one kind. Their connections share them, on any event loop.
package final class HTTPLimits: Sendable {
    /// The time within which a request has to be complete; then its connection is closed.
    static let requestSeconds: Int64 = 60

    /// The most connections that each listener may have.
    let maxConnections: Int
    let memory: HTTPMemory
    private let answerBytes: ByteBudget
    let streams = StreamReaders()
    private let refused = Atomic<UInt64>(0)
    private let slow = Atomic<UInt64>(0)
    private let faults = Atomic<UInt64>(0)
    private let unread = Atomic<UInt64>(0)
    private let headless = Atomic<UInt64>(0)
    /// The log of refusals; nil where none is kept.
    private let refusals: RefusalLog?

    /// - Parameters:
    ///   - maxConnections: The number open at a time, for each listener; for one more the oldest that idles is closed.
    ///   - memory: The memory that connections of all kinds hold together.
    ///   - maxAnswerBytes: The bytes of large answers that clients have not read yet, over all connections; one may
    ///     have any size.
    ///   - refusals: The log that is told of each refusal.
    package init(
        maxConnections: Int = 1024, memory: HTTPMemory = HTTPMemory(), maxAnswerBytes: Int = 64 << 20,
        refusals: RefusalLog? = nil
    ) {
        self.refusals = refusals
        self.maxConnections = maxConnections
        self.memory = memory
        answerBytes = ByteBudget(maxAnswerBytes)
    }

    /// The number of connections that were closed because there were too many, and of those that the system could not
    /// accept.
    package var refusedConnections: UInt64 { refused.load(ordering: .relaxed) }
    /// The number of connections that were closed because a request took too long to come.
    package var slowRequests: UInt64 { slow.load(ordering: .relaxed) }

    /// The number of connections that were ended because the bytes were not HTTP, or beyond a limit of the protocol:
    /// too large a head, too many streams, floods of control frames.
    package var protocolErrors: UInt64 { faults.load(ordering: .relaxed) }

    /// The number of times that too much of earlier answers was unread: the request was refused, or a client that did
    /// not read was cut off.
    package var unreadAnswers: UInt64 { unread.load(ordering: .relaxed) }

    /// The number of heads and streams that were refused for lack of memory.
    package var refusedHeads: UInt64 { headless.load(ordering: .relaxed) }

    /// The bytes of large answers that clients have not read yet.
    package var heldAnswerBytes: Int { answerBytes.heldBytes }

    /// Tells the log, if there is something to tell.
    func report(_ refusal: HTTPRefusal?, from peer: SocketAddress?) {
        if let refusal { refusals?.record(refusal, from: peer) }
    }

    func recordProtocolError() {
        faults.add(1, ordering: .relaxed)
    }

    /// Counts and tells of a connection that had to go: the one that idled longest, or a new one where none idles.
    func recordRefusedConnection(from peer: SocketAddress?) {
        refused.add(1, ordering: .relaxed)
        report(
            HTTPRefusal(
                "connections", "as many connections are open as the limits allow (descriptors, memory.limit, 1024)",
                event: "connection refused"), from: peer)
    }

    /// Counts and tells of an accept that has failed, with the system's number of the reason.
    func recordFailedAccept(_ code: CInt) {
        refused.add(1, ordering: .relaxed)
        report(
            HTTPRefusal("accept", SystemError("accept", code: code).reason, event: "accepting failed, and rests"),
            from: nil)
    }

    /// Counts and tells of a head or a stream for which the memory is missing.
    func recordRefusedHead(from peer: SocketAddress?) {
        headless.add(1, ordering: .relaxed)
        report(
            HTTPRefusal("heads", "heads and streams of requests take all of their memory (memory.limit)"), from: peer)
    }

    /// Holds space for an answer until the client has read it. Returns false, and counts, where there is too little.
    func holdAnswer(_ count: Int) -> Bool {
        if answerBytes.holdOneAtLeast(count) { return true }
        unread.add(1, ordering: .relaxed)
        // A client on this event loop is closed at once, and its space is free.
        return streams.closeStalest(at: .now()) && answerBytes.holdOneAtLeast(count)
    }

    func releaseAnswer(_ count: Int) {
        answerBytes.release(count)
    }

    func recordSlowRequest(from peer: SocketAddress? = nil) {
        slow.add(1, ordering: .relaxed)
        report(HTTPRefusal("slow", "the request was not complete after \(Self.requestSeconds) s"), from: peer)
    }
}
