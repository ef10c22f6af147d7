import NIOCore
import NIOHTTP1

/// The shell of one HTTP/1.1 connection: tells `HTTP1Machine` the events, and performs its actions on the channel.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let linger = TimeAmount.seconds(2)

    private let limits: HTTPLimits
    private var machine: HTTP1Machine
    /// True while `writeEnds` is on the stack. With the end of an answer the handler below hands on the next request
    /// before its write returns, and that one may be answered at once. The loop that is running already writes its end,
    /// because a call within a call for each of the requests in a packet would use up the stack.
    private var isWritingEnds = false
    /// True if the first bytes of the connection are those of a TLS handshake; nil before any came.
    private var beginsWithTLS: Bool?

    init(_ responder: any HTTPResponder, _ share: ConnectionShare) {
        limits = share.limits
        machine = HTTP1Machine(responder, share)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        machine.peer = context.remoteAddress
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): perform(machine.head(head, at: context.eventLoop.now), context)
        case .body(let part): perform(machine.body(part), context)
        case .end: perform(machine.end(), context)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { writeEnds(context) }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is IdleStateHandler.IdleStateEvent: context.close(promise: nil)
        case let event as ChannelEvent where event == .inputClosed: perform(machine.inputClosed(), context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Any other error is a reset by the client, or an answer that could not be written.
        guard error is HTTPParserError else { return context.close(promise: nil) }
        perform(machine.parserFailed(beginsWithTLS == true ? Self.tls : Self.noHTTP(error)), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        limits.streams.remove(context.channel)
        machine.closed()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        machine.closed()
    }

    private static let tls = HTTPRefusal(
        "tls",
        "a TLS handshake came to a port without TLS; the client has to use http:// (gRPC: insecure), or a proxy with TLS",
        event: "connection ended")

    private static func noHTTP(_ error: any Error) -> HTTPRefusal {
        HTTPRefusal("protocol", "the bytes are not HTTP: \(error)", event: "connection ended")
    }

    /// Records bytes for `SlowRequestHandler`, which sees them before they are decoded.
    func bytesArrived(_ bytes: ByteBuffer, at now: NIODeadline) {
        if beginsWithTLS == nil {
            // A handshake record (22) of version 3.x: RFC 8446, 5.1.
            let first = bytes.readableBytesView.prefix(2)
            beginsWithTLS = first.elementsEqual([0x16, 0x03]) || first.elementsEqual([0x16])
        }
        machine.bytesArrived(at: now)
    }

    /// Records bytes for `SlowRequestHandler`, once they are decoded. Returns false where the memory for what they
    /// leave incomplete is missing.
    func bytesRead(_ count: Int) -> Bool { machine.bytesRead(count) }

    func checkSlowness(at now: NIODeadline) -> RequestClock.Check { machine.checkSlowness(at: now) }

    // MARK: Actions

    private func perform(_ action: HTTP1Machine.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .nothing: break
        case .invite:
            let head = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        case .respond(let exchange, let body): respond(exchange, to: body, context)
        case .answer(let answer):
            // A write may make the channel writable again from within: its end must not be written before its body.
            let wasWritingEnds = isWritingEnds
            isWritingEnds = true
            write(answer, context)
            isWritingEnds = wasWritingEnds
            writeEnds(context)
        case .answerAndLinger(let answer):
            write(answer, context)
            context.flush()
            let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: Self.linger) { loopBound.value.close(promise: nil) }
        case .close: closeWhenWritten(context)
        }
    }

    private func respond(_ exchange: any HTTPExchange, to body: ByteBuffer, _ context: ChannelHandlerContext) {
        switch exchange.respond(to: body, on: context.eventLoop) {
        case .now(let response): perform(machine.answered(response), context)
        case .later(let future):
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            future.hop(to: context.eventLoop).whenComplete { result in
                let (connection, context) = loopBound.value
                let failed = HTTPResponse.text(.internalServerError, "internal error")
                connection.perform(connection.machine.answered((try? result.get()) ?? failed), context)
            }
        }
    }

    private func write(_ answer: HTTP1Answer, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(answer.head)), promise: nil)
        guard let body = answer.body else { return }
        var written: EventLoopPromise<Void>?
        if answer.heldBytes > 0 {
            let promise = context.eventLoop.makePromise(of: Void.self)
            promise.futureResult.whenComplete { [limits] _ in limits.releaseAnswer(answer.heldBytes) }
            written = promise
        }
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: written)
    }

    private func writeEnds(_ context: ChannelHandlerContext) {
        if isWritingEnds { return }
        isWritingEnds = true
        defer { isWritingEnds = false }
        while true {
            if machine.isStreaming && !writePiece(context) { return }
            switch machine.nextEnd(isWritable: context.channel.isWritable, at: context.eventLoop.now) {
            case .nothing: return
            case .later:
                // A flush that empties the channel says so from within, and the end is then written there.
                isWritingEnds = false
                return context.flush()
            case .write: context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            case .writeAndClose:
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
                return closeWhenWritten(context)
            case .close: return closeWhenWritten(context)
            }
        }
    }

    /// Writes the next piece of a streamed answer, if the client has read what was written. Returns true if it was the
    /// last one.
    private func writePiece(_ context: ChannelHandlerContext) -> Bool {
        let channel = context.channel
        guard channel.isWritable else {
            // A flush that empties the channel says so from within.
            isWritingEnds = false
            context.flush()
            return false
        }
        guard let piece = machine.nextPiece() else {
            limits.streams.remove(channel)
            return true
        }
        limits.streams.recordPiece(channel, at: context.eventLoop.now)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))), promise: nil)
        // Other connections have their turn between two pieces. A channel that is full says when it is so no more.
        if channel.isWritable {
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.execute { loopBound.value.0.writeEnds(loopBound.value.1) }
        }
        return false
    }

    /// Closes by an empty write right above the socket, which is done when all the answers before it are: none is cut
    /// off.
    private func closeWhenWritten(_ context: ChannelHandlerContext) {
        guard let lowest = try? context.pipeline.syncOperations.context(handlerType: SlowRequestHandler.self) else {
            return context.close(promise: nil)
        }
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        lowest.writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in loopBound.value.close(promise: nil) }
    }
}
