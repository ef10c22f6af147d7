import NIOCore

/// Closes a connection whose request is not complete in time, whose head takes more memory than there is, or that has had no
/// traffic for long. Stands before the HTTP decoder, so that it sees the bytes of a head that is not complete. `RequestClock`
/// decides; here is the timer.
final class TimeoutHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnection
    private let idleTimeout: TimeAmount
    private var timer: Scheduled<Void>?

    init(_ connection: HTTPConnection, idleTimeout: TimeAmount) {
        self.connection = connection
        self.idleTimeout = idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        schedule(after: RequestClock.timeout, context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        connection.bytesArrived(bytes, at: context.eventLoop.now)
        context.fireChannelRead(data)
        if !connection.bytesRead(bytes.readableBytes) { context.close(promise: nil) }
    }

    /// Sets the one timer. It looks again after no more than the time that a request has, because one may begin at once.
    private func schedule(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: min(delay, RequestClock.timeout)) {
            let (handler, context) = loopBound.value
            handler.check(context)
        }
    }

    private func check(_ context: ChannelHandlerContext) {
        let now = context.eventLoop.now
        let idleTime = connection.lastTraffic + idleTimeout - now
        if idleTime <= .zero { return context.close(promise: nil) }
        switch connection.checkSlowness(at: now) {
        case .rest: schedule(after: idleTime, context)
        case .again(let delay): schedule(after: min(delay, idleTime), context)
        case .tooSlow: context.close(promise: nil)
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
