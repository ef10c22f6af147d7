import NIOCore

/// Closes a connection whose request is not complete in time, or whose head takes more memory than there is. Stands before the
/// HTTP decoder, so that it sees the bytes of a head that is not complete. `RequestClock` decides; here is the timer.
final class SlowRequestHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnection
    private var timer: Scheduled<Void>?

    init(_ connection: HTTPConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        connection.bytesArrived(bytes, at: context.eventLoop.now)
        if timer == nil { schedule(after: RequestClock.timeout, context) }
        context.fireChannelRead(data)
        if !connection.bytesRead(bytes.readableBytes) { context.close(promise: nil) }
    }

    /// Sets one timer at a time: it looks again when a later request has begun meanwhile.
    private func schedule(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: delay) {
            let (handler, context) = loopBound.value
            handler.timer = nil
            switch handler.connection.checkSlowness(at: context.eventLoop.now) {
            case .rest: break
            case .again(let delay): handler.schedule(after: delay, context)
            case .tooSlow: context.close(promise: nil)
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }
}
