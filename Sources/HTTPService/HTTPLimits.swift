import NIOCore
import Platform
import Synchronization

/// What all listeners of one kind may hold together, from all senders. Shared by their connections, on any event loop.
package final class HTTPLimits: Sendable {
    /// A request that is not complete by then has its connection closed.
    static let requestSeconds: Int64 = 60

    private let maxConnections: Int
    private let connections = Atomic<Int>(0)
    private let bodyBytes: ByteAllowance
    private let answerBytes: ByteAllowance
    private let refused = Atomic<UInt64>(0)
    private let slow = Atomic<UInt64>(0)
    private let faults = Atomic<UInt64>(0)
    private let unread = Atomic<UInt64>(0)
    /// Is told of each refusal; nil where nothing is.
    private let refusals: RefusalLog?

    /// - Parameters:
    ///   - maxConnections: open at a time; further ones are closed at once.
    ///   - maxBodyBytes: of bodies that are not complete yet, over all connections.
    ///   - maxAnswerBytes: of large answers that clients have not read yet, over all connections; one of any size.
    ///   - refusals: is told of each refusal.
    package init(
        maxConnections: Int = 1024, maxBodyBytes: Int = 64 << 20, maxAnswerBytes: Int = 64 << 20,
        refusals: RefusalLog? = nil
    ) {
        self.refusals = refusals
        self.maxConnections = maxConnections
        answerBytes = ByteAllowance(maxAnswerBytes)
        bodyBytes = ByteAllowance(maxBodyBytes)
    }

    /// Connections that were closed because there were too many.
    package var refusedConnections: UInt64 { refused.load(ordering: .relaxed) }
    /// Connections that were closed because a request took too long to come.
    package var slowRequests: UInt64 { slow.load(ordering: .relaxed) }

    /// Connections that were ended because what came was no HTTP, or beyond a limit of the protocol: too large a head, too
    /// many streams, floods of control frames.
    package var protocolErrors: UInt64 { faults.load(ordering: .relaxed) }

    /// Requests over HTTP/1.1 that were refused because too much of earlier answers was not read yet.
    package var unreadAnswers: UInt64 { unread.load(ordering: .relaxed) }

    /// Of bodies that are not complete yet; 0 without connections.
    package var heldBodyBytes: Int { bodyBytes.heldBytes }

    /// From now on.
    package func use(maxBodyBytes: Int) {
        bodyBytes.use(maxBodyBytes)
    }

    /// Tells the log, if there is something to tell.
    func report(_ refusal: HTTPRefusal?, from peer: SocketAddress?) {
        if let refusal { refusals?.record(refusal, from: peer) }
    }

    func recordProtocolError() {
        faults.add(1, ordering: .relaxed)
    }

    /// False, counted and told when there is no room for one more.
    func openConnection(from peer: SocketAddress? = nil) -> Bool {
        if connections.add(1, ordering: .relaxed).newValue <= maxConnections { return true }
        connections.subtract(1, ordering: .relaxed)
        refused.add(1, ordering: .relaxed)
        report(
            HTTPRefusal("connections", "\(maxConnections) connections are open", event: "connection refused"),
            from: peer)
        return false
    }

    func closeConnection() {
        connections.subtract(1, ordering: .relaxed)
    }

    /// Room for bytes of a body; false when there is none, and nothing is taken.
    func hold(_ count: Int) -> Bool { bodyBytes.hold(count) }

    func release(_ count: Int) {
        bodyBytes.release(count)
    }

    /// Room for an answer until the client has read it; false, and counted, when there is none.
    func holdAnswer(_ count: Int) -> Bool {
        if answerBytes.holdOneAtLeast(count) { return true }
        unread.add(1, ordering: .relaxed)
        return false
    }

    func releaseAnswer(_ count: Int) {
        answerBytes.release(count)
    }

    func recordSlowRequest(from peer: SocketAddress? = nil) {
        slow.add(1, ordering: .relaxed)
        report(HTTPRefusal("slow", "the request was not complete after \(Self.requestSeconds) s"), from: peer)
    }
}
