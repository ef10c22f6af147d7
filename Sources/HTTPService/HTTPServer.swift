import Glibc
package import NIOCore
import NIOHTTP1
import NIOPosix
import Platform

package struct UnixSocketOptions: Sendable {
    package var mode: UInt32
    package var group: String?

    package init(mode: UInt32 = 0o660, group: String? = nil) {
        self.mode = mode
        self.group = group
    }
}

/// The listeners of a list of addresses, and their connections.
package final class HTTPServer: Sendable {
    private static let backlog: Int32 = 1024
    /// The time after which a connection without traffic in either direction is closed.
    private static let idleTimeout = TimeAmount.seconds(120)
    /// The time between looks at the files of unix sockets.
    private static let socketCheck = TimeAmount.seconds(1)

    private let listeners: [any Channel]
    private let unixListeners: [UnixListener]
    private let connections: ListenerLimits
    /// The addresses as bound: port 0 is replaced by the one that the system chose.
    package let addresses: [ListenAddress]

    /// Binds all addresses and starts to accept. HTTP/2 (with prior knowledge, as gRPC speaks it) is told from HTTP/1.1 by its preface.
    ///
    /// - Parameter report: Gets the events of the files of unix sockets, on an event loop.
    /// - Throws: `ListenError` for the first address that can't be bound; then none stays open.
    package init(
        _ addresses: [ListenAddress], unixSocket: UnixSocketOptions = UnixSocketOptions(), http2: Bool = false,
        limits: HTTPLimits = HTTPLimits(), group: any EventLoopGroup, responder: any HTTPResponder,
        report: @escaping @Sendable (SocketFileEvent) -> Void = { _ in }
    ) throws(ListenError) {
        let connections = ListenerLimits(limits)
        let makeBootstrap = { @Sendable in
            Self.bootstrap(group, connections) { try Self.addHandlers(to: $0, http2: http2, responder, $1) }
        }
        self.connections = connections
        let bound = try TCPListening(addresses).bind(makeBootstrap)
        var unixListeners: [UnixListener] = []
        do throws(ListenError) {
            for path in addresses.compactMap(\.unixPath) {
                unixListeners.append(
                    try UnixListener(
                        path: path, options: unixSocket, backlog: Self.backlog, makeBootstrap: makeBootstrap))
            }
        } catch {
            for listener in bound.joined() { listener.close(promise: nil) }
            for listener in unixListeners { listener.close() }
            throw error
        }
        listeners = Array(bound.joined())
        self.unixListeners = unixListeners
        self.addresses = zip(addresses, bound).map { $0.withPort($1.first?.localAddress?.port) }
        if unixListeners.isEmpty { return }
        group.next().scheduleRepeatedTask(initialDelay: Self.socketCheck, delay: Self.socketCheck) { [weak self] task in
            guard let self, !self.connections.isQuiescing else { return task.cancel() }
            for listener in self.unixListeners { listener.reopenIfLost(report) }
        }
    }

    private static func bootstrap(
        _ group: any EventLoopGroup, _ connections: ListenerLimits,
        addHandlers: @escaping @Sendable (ChannelPipeline.SynchronousOperations, ConnectionShare) throws -> Void
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: 16)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptRest(connections))
                }
            }
            // A client may shut its side and still read the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // The channel keeps a buffer for each of the reads that it may do in a row.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1024, initial: 2048, maximum: connections.limits.memory.maxReadBytes)
            )
            .childChannelInitializer { channel in
                guard let share = connections.open(channel) else {
                    return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
                }
                return channel.eventLoop.makeCompletedFuture {
                    try addHandlers(channel.pipeline.syncOperations, share)
                }
            }
    }

    /// The first unix socket that clients can't reach, because its file is gone; nil where all can be reached.
    package var unreachableSocket: ListenAddress? {
        for (address, listener) in zip(addresses.filter { $0.unixPath != nil }, unixListeners)
        where !listener.isReachable {
            return address
        }
        return nil
    }

    /// Adds all handlers that a connection of a listener has between its socket and the responder. A fuzzer has no
    /// socket, and passes an embedded channel's pipeline.
    /// - Throws: What NIO's pipeline throws.
    package static func addHandlers(
        to pipeline: ChannelPipeline.SynchronousOperations, http2: Bool, _ responder: any HTTPResponder,
        _ limits: HTTPLimits
    ) throws {
        try addHandlers(to: pipeline, http2: http2, responder, ConnectionShare(ListenerLimits(limits)))
    }

    private static func addHandlers(
        to pipeline: ChannelPipeline.SynchronousOperations, http2: Bool, _ responder: any HTTPResponder,
        _ share: ConnectionShare
    ) throws {
        if !http2 { return try speakHTTP1(in: pipeline, responder, share) }
        let byPreface = ProtocolSwitch(idleTimeout: idleTimeout) { spoken, pipeline in
            switch spoken {
            case .http1: try speakHTTP1(in: pipeline, responder, share)
            case .http2: try HTTP2Connection.add(to: pipeline, responder, share, idleTimeout: idleTimeout)
            }
        }
        try pipeline.addHandler(byPreface)
    }

    private static func speakHTTP1(
        in pipeline: ChannelPipeline.SynchronousOperations, _ responder: any HTTPResponder, _ share: ConnectionShare
    ) throws {
        let connection = HTTPConnection(responder, share)
        try pipeline.addHandler(TimeoutHandler(connection, idleTimeout: idleTimeout))
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        try pipeline.addHandler(connection)
    }

    /// Stops accepting, at once, and lets each connection end after its present request.
    package func quiesce() {
        for listener in listeners { try? listener.close().wait() }  // Fails when it is closed already.
        for listener in unixListeners { listener.close() }
        connections.quiesce()
    }

    /// The number of connections that are still open.
    package var openConnections: Int { connections.openConnections }

    /// Cuts off the connections that are left.
    package func close() {
        connections.close()
    }
}
