import NIOCore
import NIOHTTP1

/// The protocol of a client, told from its first bytes.
enum WireProtocol: Equatable {
    case http1, http2

    /// The first 24 bytes of a client that knows the server speaks HTTP/2 (RFC 9113, 3.4). No HTTP/1.1 request begins
    /// with them.
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// Tells the protocol; returns nil while the bytes are a beginning of the preface and not all of it.
    init?(firstBytes: some Collection<UInt8>) {
        guard firstBytes.starts(with: Self.preface) else {
            if Self.preface.starts(with: firstBytes) { return nil }
            self = .http1
            return
        }
        self = .http2
    }
}

/// Waits for the first bytes of a connection, puts the handlers of their protocol behind itself, gives them the bytes
/// and removes itself.
final class ProtocolSwitch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let idleTimeout: TimeAmount
    private let configure: (WireProtocol, ChannelPipeline.SynchronousOperations) throws -> Void
    private var received = ByteBuffer()
    private var isDecided = false
    private var timeout: Scheduled<Void>?

    init(
        idleTimeout: TimeAmount,
        _ configure: @escaping (WireProtocol, ChannelPipeline.SynchronousOperations) throws -> Void
    ) {
        self.idleTimeout = idleTimeout
        self.configure = configure
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: idleTimeout) { loopBound.value.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        // A new handler's first write may fail, and NIO then reads what is left before it closes: this function then runs twice.
        if isDecided { return }
        guard let spoken = WireProtocol(firstBytes: received.readableBytesView) else { return }
        isDecided = true
        do {
            try configure(spoken, context.pipeline.syncOperations)
        } catch {
            context.close(promise: nil)
            return
        }
        while received.readableBytes > 0 {
            let replayed = received
            received = ByteBuffer()
            context.fireChannelRead(wrapInboundOut(replayed))
        }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        // No request has begun, so nothing is lost.
        case is ChannelShouldQuiesceEvent where !isDecided: context.close(promise: nil)
        case let event as ChannelEvent where event == .inputClosed && !isDecided: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
