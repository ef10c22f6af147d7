import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// One HTTP/2 connection: collects the requests of its streams, asks the responder, writes the answers.
///
/// | stream     | HEADERS            | DATA                  | END_STREAM  | closed by either side |
/// |------------|--------------------|-----------------------|-------------|-----------------------|
/// | –          | → receiving, or refusal → discarding | –   | –           | –                     |
/// | receiving  | (trailers)         | keep; over a limit, refusal → discarding | respond → answering | forgotten |
/// | answering  | –                  | –                     | –           | forgotten             |
/// | discarding | –                  | drop; over the drain limit → RST_STREAM (NO_ERROR) | – | forgotten |
///
/// swift-nio-http2 below keeps the protocol: frames, HPACK, flow control of answers, stream states, pings, floods. What
/// it leaves to its user is here: handing back the windows of what was read, and the end of connections.
///
/// A connection ends with GOAWAY, which names the last request that gets an answer; a client knows that later ones were
/// not looked at, and sends them again elsewhere. A PING goes with it: once its echo is here, or does not come, and the
/// last stream is closed, so is the connection.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private enum Phase {
        case receiving
        case answering
        case discarding(dropped: Int)
    }

    private struct Stream {
        let head: HTTPRequestHead
        let arrival: NIODeadline
        var phase: Phase
        var body = ByteBuffer()
        /// Bytes came since the last look at streams that stall.
        var isMoving = true
    }

    private enum Ending {
        case no
        case announced(echoed: Bool)
        case closing
    }

    private let responder: any HTTPResponder
    private let limits: HTTPLimits
    private let idleTimeout: TimeAmount
    private let violation: HTTP2Violation
    private var streams: [HTTP2StreamID: Stream] = [:]
    private var lastStreamID = HTTP2StreamID.rootStream
    /// Of the bodies that are not complete yet.
    private var heldBytes = 0
    /// A request came since the last look at connections that idle.
    private var isUsed = true
    private var ending = Ending.no
    private var isReading = false
    private var idleCheck: RepeatedTask?

    init(
        _ responder: any HTTPResponder, _ limits: HTTPLimits, idleTimeout: TimeAmount, _ violation: HTTP2Violation
    ) {
        self.responder = responder
        self.limits = limits
        self.idleTimeout = idleTimeout
        self.violation = violation
    }

    static func add(
        to pipeline: ChannelPipeline.SynchronousOperations, _ responder: any HTTPResponder, _ limits: HTTPLimits,
        idleTimeout: TimeAmount
    ) throws {
        let violation = HTTP2Violation()
        try pipeline.addHandler(
            NIOHTTP2Handler(
                mode: .server, frameDelegate: violation, connectionConfiguration: HTTP2Limits.connection,
                streamConfiguration: HTTP2Limits.stream))
        try pipeline.addHandler(HTTP2Connection(responder, limits, idleTimeout: idleTimeout, violation))
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        // What has not moved between two looks goes, so that it lives for one to two of these.
        let period = TimeAmount.nanoseconds(idleTimeout.nanoseconds / 2)
        idleCheck = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            let (connection, context) = loopBound.value
            connection.endWhatStalls(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        idleCheck = nil
        forgetAll()
    }

    func channelInactive(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        idleCheck = nil
        forgetAll()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let content): receive(content.headers, content.endStream, frame.streamID, context)
        case .data(let content):
            if case .byteBuffer(let part) = content.data { receive(part, content.endStream, frame.streamID, context) }
        case .ping(HTTP2Limits.endingPing, ack: true):
            if case .announced = ending { ending = .announced(echoed: true) }
            closeIfDone(context)
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
        case let event as NIOHTTP2WindowUpdatedEvent: handBackWindow(event, context)
        case let event as StreamClosedEvent:
            forgetBody(event.streamID)
            streams[event.streamID] = nil
            closeIfDone(context)
        case is ChannelShouldQuiesceEvent: end(context)
        case let event as ChannelEvent where event == .inputClosed: inputClosed(context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Most errors are one stream's, which the handler below has reset. Those of the connection it has answered with
        // GOAWAY, if it could.
        if violation.isAnswered {
            // grpc-go says goodbye by a GOAWAY that names its own last stream, where it should name ours.
            let isGoodbye =
                error is NIOHTTP2Errors.InvalidStreamIDForPeer && streams.isEmpty && lastStreamID != .rootStream
            if !isGoodbye { limits.noteProtocolError() }
            return context.close(promise: nil)
        }
        if case .no = ending { return }
        context.close(promise: nil)
    }

    // MARK: Requests

    private func receive(_ headers: HPACKHeaders, _ isEnd: Bool, _ id: HTTP2StreamID, _ context: ChannelHandlerContext)
    {
        isUsed = true
        if streams[id] != nil {
            if isEnd { finish(id, context) }  // Trailers of the request: nothing that is asked for.
            return
        }
        let head = HTTPRequestHead(headers)
        lastStreamID = max(lastStreamID, id)
        streams[id] = Stream(head: head, arrival: context.eventLoop.now, phase: .receiving)
        let announced = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        if let refusal = responder.refusal(of: head) {
            refuse(id, refusal, isEnd, context)
        } else if announced > responder.maxBodyBytes(head) {
            refuse(id, responder.bodyTooLarge(head), isEnd, context)
        } else if isEnd {
            finish(id, context)
        } else if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            write(.headers(.init(headers: [":status": "100"])), id, context)
        }
    }

    private func receive(_ part: ByteBuffer, _ isEnd: Bool, _ id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        guard let index = streams.index(forKey: id) else { return }
        streams.values[index].isMoving = true
        switch streams.values[index].phase {
        case .receiving:
            let head = streams.values[index].head
            let total = streams.values[index].body.readableBytes + part.readableBytes
            let limit = responder.maxBodyBytes(head)
            if total > limit {
                refuse(id, responder.bodyTooLarge(head), isEnd, context)
            } else if heldBytes + part.readableBytes > max(HTTP2Limits.heldBytesMax, limit)
                || !limits.hold(part.readableBytes)
            {
                refuse(id, responder.tooManyBodies(head), isEnd, context)
            } else {
                heldBytes += part.readableBytes
                if isEnd && total == part.readableBytes {
                    streams.values[index].body = part
                } else {
                    if total == part.readableBytes {
                        streams.values[index].body.reserveCapacity(min(limit, HTTP2Limits.bodyReserveBytes))
                    }
                    streams.values[index].body.writeImmutableBuffer(part)
                }
                if isEnd { finish(id, context) }
            }
        case .discarding(let dropped):
            let total = dropped + part.readableBytes
            streams.values[index].phase = .discarding(dropped: total)
            // RFC 9113, 8.1: the answer is complete, the client is asked to stop.
            if total > HTTP2Limits.drainBytesMax && !isEnd { write(.rstStream(.noError), id, context) }
        case .answering: break
        }
    }

    /// Answers before the body has come, and drops what still comes of it.
    private func refuse(
        _ id: HTTP2StreamID, _ response: HTTPResponse, _ isEnd: Bool, _ context: ChannelHandlerContext
    ) {
        forgetBody(id)
        streams[id]?.phase = isEnd ? .answering : .discarding(dropped: 0)
        answer(id, response, context)
    }

    private func forgetBody(_ id: HTTP2StreamID) {
        guard let index = streams.index(forKey: id), case .receiving = streams.values[index].phase else { return }
        heldBytes -= streams.values[index].body.readableBytes
        limits.release(streams.values[index].body.readableBytes)
        streams.values[index].body = ByteBuffer()
    }

    private func forgetAll() {
        for id in streams.keys { forgetBody(id) }
        streams = [:]
    }

    private func finish(_ id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        guard let stream = streams[id], case .receiving = stream.phase else { return }
        forgetBody(id)
        streams[id]?.phase = .answering
        let request = HTTPRequest(
            method: stream.head.method, path: stream.head.path, headers: stream.head.headers, body: stream.body,
            arrival: stream.arrival)
        switch responder.respond(to: request, on: context.eventLoop) {
        case .now(let response): answer(id, response, context)
        case .later(let future):
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            future.hop(to: context.eventLoop).whenComplete { result in
                let (connection, context) = loopBound.value
                connection.answer(id, (try? result.get()) ?? .text(.internalServerError, "internal error"), context)
            }
        }
    }

    // MARK: Answers

    private func answer(_ id: HTTP2StreamID, _ response: HTTPResponse, _ context: ChannelHandlerContext) {
        guard let stream = streams[id] else { return }  // The client has gone away meanwhile.
        let hasBody = response.body.readableBytes > 0 && stream.head.method != .HEAD
        let headers = HPACKHeaders(response)
        write(.headers(.init(headers: headers, endStream: !hasBody && response.trailers == nil)), id, context)
        if hasBody {
            write(.data(.init(data: .byteBuffer(response.body), endStream: response.trailers == nil)), id, context)
        }
        if let trailers = response.trailers {
            write(.headers(.init(headers: HPACKHeaders(lowercased: trailers), endStream: true)), id, context)
        }
    }

    /// Flushed with everything else that one read of the socket leads to.
    private func write(_ payload: HTTP2Frame.FramePayload, _ id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: nil)
        if !isReading { context.flush() }
    }

    /// What was read is in a body or dropped, and both are bounded: the client may send as much again.
    private func handBackWindow(_ event: NIOHTTP2WindowUpdatedEvent, _ context: ChannelHandlerContext) {
        guard let left = event.inboundWindowSize else { return }
        let isConnection = event.streamID == .rootStream
        let target = isConnection ? HTTP2Limits.connectionWindowBytes : HTTP2Limits.streamWindowBytes
        guard left < target / 2, isConnection || streams[event.streamID] != nil else { return }
        write(.windowUpdate(windowSizeIncrement: target - left), event.streamID, context)
    }

    // MARK: The end

    private func endWhatStalls(_ context: ChannelHandlerContext) {
        if streams.isEmpty && !isUsed { return end(context) }
        isUsed = false
        let latest = context.eventLoop.now - .seconds(HTTPLimits.requestSeconds)
        for (id, stream) in streams {
            // Answered or not, what comes has to come to an end.
            let isSlow =
                switch stream.phase {
                case .receiving, .discarding: stream.arrival < latest
                case .answering: false
                }
            if isSlow { limits.noteSlowRequest() }
            if isSlow || !stream.isMoving { write(.rstStream(.cancel), id, context) }
        }
        for id in streams.keys { streams[id]?.isMoving = false }
    }

    /// Answers the requests that have begun, and no others.
    private func end(_ context: ChannelHandlerContext) {
        guard case .no = ending else { return }
        ending = .announced(echoed: false)
        write(.goAway(lastStreamID: lastStreamID, errorCode: .noError, opaqueData: nil), .rootStream, context)
        write(.ping(HTTP2Limits.endingPing, ack: false), .rootStream, context)
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: HTTP2Limits.echoTimeout) {
            let (connection, context) = loopBound.value
            if case .announced = connection.ending { connection.ending = .announced(echoed: true) }
            connection.closeIfDone(context)
        }
    }

    private func closeIfDone(_ context: ChannelHandlerContext) {
        guard case .announced(echoed: true) = ending, streams.isEmpty else { return }
        ending = .closing
        // Said again, because once this is on the wire, so is everything before it.
        let goodbye = HTTP2Frame(
            streamID: .rootStream, payload: .goAway(lastStreamID: lastStreamID, errorCode: .noError, opaqueData: nil))
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(goodbye)).whenComplete { _ in loopBound.value.close(promise: nil) }
        // To a client that does not read, it never is.
        context.eventLoop.scheduleTask(in: HTTP2Limits.lingerTimeout) { loopBound.value.close(promise: nil) }
    }

    /// The client has shut its side and still reads: it gets the answers that are due.
    private func inputClosed(_ context: ChannelHandlerContext) {
        for (id, stream) in streams {
            if case .answering = stream.phase { continue }
            write(.rstStream(.cancel), id, context)
        }
        if case .closing = ending { return }
        ending = .announced(echoed: true)
        closeIfDone(context)
    }
}
