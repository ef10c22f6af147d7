import NIOCore

/// Closes a connection whose request is not complete in time, however steadily its bytes drip. Stands before the HTTP
/// decoder, so that it sees the bytes of a head that is not complete. While a request is being answered the time of the next
/// one does not run: it is held back until the client has read the answer.
final class SlowRequestHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let limits: HTTPLimits
    private let timeout: TimeAmount
    private var began: NIODeadline?
    private var check: Scheduled<Void>?
    private var isAnswering = false
    /// Bytes have come while a request was being answered.
    private var isNextHere = false

    init(_ limits: HTTPLimits, timeout: TimeAmount = .seconds(HTTPLimits.requestSeconds)) {
        self.limits = limits
        self.timeout = timeout
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isAnswering {
            isNextHere = true
        } else if began == nil {
            began = context.eventLoop.now
        }
        if check == nil { schedule(after: timeout, context) }
        context.fireChannelRead(data)
    }

    /// The connection has seen the end of a request. What came behind it counts from the next bytes on.
    func requestEnded() {
        began = nil
        isAnswering = true
        isNextHere = false
    }

    /// Before the end of the answer is written, which hands on the next request.
    func answerEnded(at now: NIODeadline) {
        isAnswering = false
        if isNextHere { began = now }
        isNextHere = false
    }

    /// One timer at a time: it looks again when a later request has begun meanwhile.
    private func schedule(after delay: TimeAmount, _ context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        check = context.eventLoop.scheduleTask(in: delay) {
            let (handler, context) = loopBound.value
            handler.check = nil
            guard let began = handler.began else {
                if handler.isNextHere { handler.schedule(after: handler.timeout, context) }
                return
            }
            let left = began + handler.timeout - context.eventLoop.now
            if left > .zero {
                handler.schedule(after: left, context)
            } else {
                handler.limits.noteSlowRequest()
                context.close(promise: nil)
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        check?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        check?.cancel()
        context.fireChannelInactive()
    }
}
