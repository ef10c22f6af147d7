import Glibc
package import NIOCore
import NIOHTTP1
import NIOPosix
import Platform
import Synchronization

package struct UnixSocketOptions: Sendable {
    package var mode: UInt32
    package var group: String?

    package init(mode: UInt32 = 0o660, group: String? = nil) {
        self.mode = mode
        self.group = group
    }
}

/// A listener and its connections.
package final class HTTPServer: Sendable {
    private static let backlog: Int32 = 1024
    /// A connection without traffic in either direction is closed after this.
    private static let idleTimeout = TimeAmount.seconds(120)

    private let listener: any Channel
    private let socketFile: UnixSocketFile?
    private let connections: OpenConnections
    /// As it is bound: port 0 is replaced by the one that the system chose.
    package let address: ListenAddress

    /// Binds and starts to accept. HTTP/2 (with prior knowledge, as gRPC speaks it) is told from HTTP/1.1 by its preface.
    package init(
        _ address: ListenAddress, unixSocket: UnixSocketOptions = UnixSocketOptions(), http2: Bool = false,
        limits: HTTPLimits = HTTPLimits(), group: any EventLoopGroup, responder: any HTTPResponder
    ) throws(ListenError) {
        let connections = OpenConnections()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: 16)
            // Out of descriptors: accepting rests for a second instead of spinning.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            // A client may shut its side and still read the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelInitializer { channel in
                guard limits.openConnection() else {
                    return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
                }
                channel.closeFuture.whenComplete { _ in limits.closeConnection() }
                connections.add(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try Self.addHandlers(to: channel.pipeline.syncOperations, http2: http2, responder, limits)
                }
            }
        self.connections = connections
        switch address {
        case .tcp(let host, let port):
            do {
                listener = try bootstrap.bind(host: host, port: port).wait()
            } catch {
                throw ListenError(address.description, "\(error)")
            }
            self.address = .tcp(host: host, port: listener.localAddress?.port ?? port)
            socketFile = nil
        case .unix(let path):
            let (file, descriptor) = try UnixSocketFile.bind(path, mode: unixSocket.mode, group: unixSocket.group)
            do {
                listener = try bootstrap.withBoundSocket(descriptor).wait()
                // NIO listens with a backlog of its own on a socket that is bound already. Clients of a unix socket get
                // EAGAIN when it is full.
                if Glibc.listen(descriptor, Self.backlog) != 0 { throw SystemError("listen") }
            } catch {
                file?.removeIfOurs()
                throw ListenError(address.description, "\(error)")
            }
            socketFile = file
            self.address = address
        }
    }

    /// All that a connection of a listener has between its socket and the responder; a fuzzer has no socket and gives it
    /// an embedded channel's pipeline.
    package static func addHandlers(
        to pipeline: ChannelPipeline.SynchronousOperations, http2: Bool, _ responder: any HTTPResponder,
        _ limits: HTTPLimits
    ) throws {
        // A client that does not read its answers is not read from either.
        try pipeline.addHandler(BackPressureHandler())
        if !http2 { return try speakHTTP1(pipeline, responder, limits) }
        let byPreface = ProtocolSwitch(idleTimeout: idleTimeout) { spoken, pipeline in
            switch spoken {
            case .http1: try speakHTTP1(pipeline, responder, limits)
            case .http2: try HTTP2Connection.add(to: pipeline, responder, limits, idleTimeout: idleTimeout)
            }
        }
        try pipeline.addHandler(byPreface)
    }

    private static func speakHTTP1(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ responder: any HTTPResponder, _ limits: HTTPLimits
    ) throws {
        let connection = HTTPConnection(responder, limits)
        try pipeline.addHandler(SlowRequestHandler(connection))
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.addHandler(IdleStateHandler(allTimeout: idleTimeout))
        try pipeline.addHandler(connection)
    }

    /// Stops accepting, at once, and lets each connection end after the request it is in.
    package func quiesce() {
        try? listener.close().wait()  // Fails when it is closed already.
        socketFile?.removeIfOurs()
        connections.quiesce()
    }

    /// How many connections are still open.
    package var openConnections: Int { connections.count }

    /// Cuts off what is left.
    package func close() {
        connections.close()
    }
}

/// The connections of a listener, to be told when it is time to end.
private final class OpenConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let isQuiescing = Atomic<Bool>(false)

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        channels.withLock { $0[id] = channel }
        // Accepted just before the listener closed: no request has begun.
        if isQuiescing.load(ordering: .sequentiallyConsistent) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.channels.withLock { $0[id] = nil }
        }
    }

    var count: Int { channels.withLock { $0.count } }

    func quiesce() {
        isQuiescing.store(true, ordering: .sequentiallyConsistent)
        for channel in channels.withLock({ Array($0.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func close() {
        for channel in channels.withLock({ Array($0.values) }) { channel.close(promise: nil) }
    }
}
