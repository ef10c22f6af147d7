import Glibc
import NIOCore

/// Stops a listener for a while when the system can't accept a connection: out of descriptors, or of memory for
/// sockets.
///
/// NIO's own handler for this delays what asks for the next read, but the listener stays registered for readiness, so that the
/// event loop accepts in vain without a pause. Here the listener is not readable at all until the rest is over.
final class AcceptRest: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    static let rest = TimeAmount.milliseconds(200)

    private let listener: ListenerLimits
    private var isResting = false

    init(_ listener: ListenerLimits) {
        self.listener = listener
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Any other error is of a connection that ended before it was accepted.
        guard let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) else {
            return
        }
        if isResting { return }
        isResting = true
        listener.limits.recordFailedAccept(code)
        // Its descriptor serves the next connection that waits.
        _ = listener.closeOldestIdle()
        setAutoRead(false, context)
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.rest) {
            let (handler, context) = loopBound.value
            handler.isResting = false
            handler.setAutoRead(true, context)
        }
    }

    private func setAutoRead(_ isOn: Bool, _ context: ChannelHandlerContext) {
        // This fails where the listener is closed, and then there is nothing to accept.
        context.channel.setOption(.autoRead, value: isOn).whenFailure { _ in }
    }
}
