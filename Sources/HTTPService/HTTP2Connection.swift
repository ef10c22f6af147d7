import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// The shell of one HTTP/2 connection: tells `HTTP2Machine` the events, and performs its actions as frames.
///
/// swift-nio-http2 below keeps the protocol: frames, HPACK, flow control of answers, stream states, pings, floods. What
/// it leaves to its user is here: handing back the windows of what was read, and the end of connections.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let idleTimeout: TimeAmount
    private let violation: HTTP2Violation
    private let blocks: HeadBlocks
    private var machine: HTTP2Machine
    /// True while one read of the socket is handled: the frames that it leads to are flushed together.
    private var isReading = false
    private var idleCheck: RepeatedTask?

    init(
        _ responder: any HTTPResponder, _ share: ConnectionShare, idleTimeout: TimeAmount, violation: HTTP2Violation,
        blocks: HeadBlocks
    ) {
        self.idleTimeout = idleTimeout
        self.violation = violation
        self.blocks = blocks
        machine = HTTP2Machine(responder, share)
    }

    static func add(
        to pipeline: ChannelPipeline.SynchronousOperations, _ responder: any HTTPResponder, _ share: ConnectionShare,
        idleTimeout: TimeAmount
    ) throws {
        guard share.holdHead(HTTPMemory.http2Bytes) else {
            share.limits.recordRefusedHead(from: nil)
            throw ChannelError.operationUnsupported
        }
        let violation = HTTP2Violation()
        // A client that does not read its answers is not read from either.
        try pipeline.addHandler(BackPressureHandler())
        let blocks = HeadBlocks(share)
        try pipeline.addHandler(blocks)
        try pipeline.addHandler(violation)
        try pipeline.addHandler(
            NIOHTTP2Handler(
                mode: .server, frameDelegate: violation, connectionConfiguration: HTTP2Limits.connection,
                streamConfiguration: HTTP2Limits.stream))
        try pipeline.addHandler(
            HTTP2Connection(responder, share, idleTimeout: idleTimeout, violation: violation, blocks: blocks))
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        machine.peer = context.remoteAddress
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        // Streams that have not moved between two looks are reset, so that they live for one to two of these.
        let period = TimeAmount.nanoseconds(idleTimeout.nanoseconds / 2)
        idleCheck = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            let (connection, context) = loopBound.value
            let actions = connection.machine.check(at: context.eventLoop.now)
            for action in actions { connection.perform(action, context) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        closed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed()
        context.fireChannelInactive()
    }

    private func closed() {
        idleCheck?.cancel()
        idleCheck = nil
        machine.closed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        blocks.frameArrived()
        let frame = unwrapInboundIn(data)
        let id = frame.streamID
        switch frame.payload {
        case .headers(let content):
            let now = context.eventLoop.now
            perform(machine.headers(content.headers, isEnd: content.endStream, on: id, at: now), context)
        case .data(let content):
            guard case .byteBuffer(let part) = content.data else { return }
            perform(machine.data(part, isEnd: content.endStream, on: id), context)
        case .ping(HTTP2Limits.endingPing, ack: true): perform(machine.echoed(), context)
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        // A frame written now would be an error, which would close the connection before its GOAWAY is out.
        case is NIOHTTP2WindowUpdatedEvent where violation.isAnswered: break
        case let event as NIOHTTP2WindowUpdatedEvent:
            blocks.frameArrived()
            guard let left = event.inboundWindowSize else { return }
            perform(machine.windowChanged(of: event.streamID, left: left), context)
        case let event as StreamClosedEvent:
            perform(machine.streamClosed(event.streamID, at: context.eventLoop.now), context)
        case is ChannelShouldQuiesceEvent: perform(machine.quiesce(), context)
        case let event as ChannelEvent where event == .inputClosed:
            let actions = machine.inputClosed()
            for action in actions { perform(action, context) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.triggerUserOutboundEvent(HTTP2StreamFault(error), promise: nil)
        let isGoodbye = error is NIOHTTP2Errors.InvalidStreamIDForPeer
        let refusal = HTTPRefusal(
            "protocol", "a rule or a limit of HTTP/2 was broken: \(error)", event: "connection ended")
        perform(machine.failed(isAnswered: violation.isAnswered, isGoodbye: isGoodbye, refusal), context)
    }

    // MARK: Actions

    private func perform(_ action: HTTP2Machine.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .nothing: break
        case .invite(let id): write(.headers(.init(headers: [":status": "100"])), on: id, context)
        case .respond(let id, let exchange, let body): respond(exchange, to: body, on: id, context)
        case .answer(let id, let response, let omitsBody): write(response, omitsBody: omitsBody, on: id, context)
        case .reset(let id, let code): write(.rstStream(code), on: id, context)
        case .handBack(let id, let bytes): write(.windowUpdate(windowSizeIncrement: bytes), on: id, context)
        case .announceEnd(let last): announceEnd(last, context)
        case .finish(let last): finish(last, context)
        case .close: context.close(promise: nil)
        }
    }

    private func respond(
        _ exchange: any HTTPExchange, to body: ByteBuffer, on id: HTTP2StreamID, _ context: ChannelHandlerContext
    ) {
        switch exchange.respond(to: body, on: context.eventLoop) {
        case .now(let response): perform(machine.answered(response, on: id), context)
        case .later(let future):
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            future.hop(to: context.eventLoop).whenComplete { result in
                let (connection, context) = loopBound.value
                let failed = HTTPResponse.text(.internalServerError, "internal error")
                connection.perform(connection.machine.answered((try? result.get()) ?? failed, on: id), context)
            }
        }
    }

    private func write(
        _ response: HTTPResponse, omitsBody: Bool, on id: HTTP2StreamID, _ context: ChannelHandlerContext
    ) {
        let hasBody = response.body.readableBytes > 0 && !omitsBody
        let headers = HPACKHeaders(response)
        write(.headers(.init(headers: headers, endStream: !hasBody && response.trailers == nil)), on: id, context)
        if hasBody {
            write(.data(.init(data: .byteBuffer(response.body), endStream: response.trailers == nil)), on: id, context)
        }
        if let trailers = response.trailers {
            write(.headers(.init(headers: HPACKHeaders(lowercased: trailers), endStream: true)), on: id, context)
        }
    }

    private func write(_ payload: HTTP2Frame.FramePayload, on id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: nil)
        if !isReading { context.flush() }
    }

    private func announceEnd(_ last: HTTP2StreamID, _ context: ChannelHandlerContext) {
        write(.goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil), on: .rootStream, context)
        write(.ping(HTTP2Limits.endingPing, ack: false), on: .rootStream, context)
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: HTTP2Limits.echoTimeout) {
            let (connection, context) = loopBound.value
            connection.perform(connection.machine.echoed(), context)
        }
    }

    private func finish(_ last: HTTP2StreamID, _ context: ChannelHandlerContext) {
        // Once this is on the wire, so is everything before it. A client that does not read never gets it.
        let goodbye = HTTP2Frame(
            streamID: .rootStream, payload: .goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil))
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(goodbye)).whenComplete { _ in loopBound.value.close(promise: nil) }
        context.eventLoop.scheduleTask(in: HTTP2Limits.lingerTimeout) { loopBound.value.close(promise: nil) }
    }
}
