import NIOCore
import NIOHTTP1

/// One HTTP/1.1 connection: collects each request, asks the responder, writes the answer.
///
/// | state      | head               | body part             | end                         |
/// |------------|--------------------|-----------------------|-----------------------------|
/// | idle       | → receiving, or → discarding if the head is refused | – | –              |
/// | receiving  | –                  | keep; over the limit → discarding | respond → idle  |
/// | discarding | –                  | drop; over the drain limit → answer, linger, close | write the refusal → idle |
/// | lingering  | –                  | drop                  | close                       |
/// | closing    | drop               | drop                  | drop                        |
///
/// A refused body is read to its end before the answer, because a client that is still sending may not see an answer
/// that comes with a closed connection (the reset overtakes it). One that sends too much is answered at once and given
/// two seconds to read that.
///
/// The handler below hands on one request at a time, the next once the end of an answer is written. That is not before the
/// client has read most of the answer: a hundred requests in one packet do not make a hundred answers in memory.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(HTTPRequestHead, ByteBuffer)
        case discarding(HTTPRequestHead, HTTPResponse, dropped: Int)
        case lingering
        /// The last answer is on its way: whatever still comes gets none, so nothing may become of it.
        case closing
    }

    /// An answer whose head and body are written, and its end is not.
    private struct OpenAnswer {
        let keepAlive: Bool
    }

    /// What is read and dropped of a refused body before the connection is given up.
    static let drainLimit = 64 << 20
    private static let linger = TimeAmount.seconds(2)
    /// Room that is made for a body when its head announces it; more is made as its bytes arrive.
    private static let maxReserve = 1 << 20
    /// Answers of this size and more count against the limit of answers that are not read yet.
    private static let largeAnswer = 16 << 10

    private let responder: any HTTPResponder
    private let limits: HTTPLimits
    private let slowRequests: SlowRequestHandler
    private var state = State.idle
    private var arrival = NIODeadline.now()
    /// Requests whose answer is not written yet.
    private var pendingAnswers = 0
    /// An answer that the client reads slowly: its end, and with it the next request, has to wait.
    private var unreadAnswer: OpenAnswer?
    /// An end is being written: what that calls may have another answer written, whose end comes when this one is done.
    private var isEnding = false
    private var nextToEnd: OpenAnswer?
    /// The client has shut its side: close once the last answer is written.
    private var isInputClosed = false

    /// Bytes of the body that is being received, as far as they are counted in the limits.
    private var heldBytes = 0

    init(_ responder: any HTTPResponder, _ limits: HTTPLimits, _ slowRequests: SlowRequestHandler) {
        self.responder = responder
        self.limits = limits
        self.slowRequests = slowRequests
    }

    private func releaseBody() {
        limits.release(heldBytes)
        heldBytes = 0
    }

    func channelInactive(context: ChannelHandlerContext) {
        releaseBody()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        releaseBody()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head, context)
        case .body(let part): receive(part, context)
        case .end:
            slowRequests.requestEnded()
            finish(context)
        }
    }

    private func receive(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        switch state {
        case .lingering, .closing: return
        case .idle, .receiving, .discarding: break
        }
        arrival = .now()
        if let fault = head.fault {
            limits.noteProtocolError()
            state = .discarding(head, fault, dropped: 0)
            return giveUp(context)
        }
        let announced = head.announcedBytes
        if let refusal = responder.refusal(of: head) {
            state = .discarding(head, refusal, dropped: 0)
        } else if announced > responder.maxBodyBytes(head) {
            state = .discarding(head, responder.bodyTooLarge(head), dropped: 0)
        } else {
            let room = min(announced, Self.maxReserve)
            state = .receiving(head, room > 0 ? context.channel.allocator.buffer(capacity: room) : ByteBuffer())
            sendContinueIfAsked(head, context)
            return
        }
        // A client that waits for leave to send its body gets its answer instead.
        if announced > Self.drainLimit || expectsContinue(head) { giveUp(context) }
    }

    private func expectsContinue(_ head: HTTPRequestHead) -> Bool {
        head.version == .http1_1 && head.headers.first(name: "expect")?.lowercased() == "100-continue"
    }

    private func sendContinueIfAsked(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard expectsContinue(head) else { return }
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }

    private func receive(_ part: ByteBuffer, _ context: ChannelHandlerContext) {
        switch state {
        case .receiving(let head, var body):
            // Taken out of the state first: a second reference would make the append copy everything.
            state = .idle
            if body.readableBytes + part.readableBytes > responder.maxBodyBytes(head) {
                let dropped = body.readableBytes + part.readableBytes
                releaseBody()
                state = .discarding(head, responder.bodyTooLarge(head), dropped: dropped)
                return
            }
            guard limits.hold(part.readableBytes) else {
                let dropped = body.readableBytes + part.readableBytes
                releaseBody()
                state = .discarding(head, responder.tooManyBodies(head), dropped: dropped)
                return
            }
            heldBytes += part.readableBytes
            if body.readableBytes == 0 && body.capacity < part.readableBytes {
                body = part
            } else {
                body.writeImmutableBuffer(part)
            }
            state = .receiving(head, body)
        case .discarding(let head, let response, let dropped):
            let total = dropped + part.readableBytes
            state = .discarding(head, response, dropped: total)
            if total > Self.drainLimit { giveUp(context) }
        case .idle, .lingering, .closing: break
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        switch state {
        case .receiving(let head, let body):
            state = .idle
            defer { releaseBody() }
            pendingAnswers += 1
            let request = HTTPRequest(
                method: head.method, path: head.path, headers: head.headers, body: body, arrival: arrival)
            switch responder.respond(to: request, on: context.eventLoop) {
            case .now(let response): write(response, to: head, context)
            case .later(let future):
                let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
                future.hop(to: context.eventLoop).whenComplete { result in
                    let (connection, context) = loopBound.value
                    let failed = HTTPResponse.text(.internalServerError, "internal error")
                    connection.write((try? result.get()) ?? failed, to: head, context)
                }
            }
        case .discarding(let head, let response, _):
            state = .idle
            pendingAnswers += 1
            write(response, to: head, context)
        case .lingering: context.close(promise: nil)
        case .idle, .closing: break
        }
    }

    /// Answers a client that goes on sending, then closes. The end of the answer is not written: its length tells, and the
    /// handlers below would have a second answer for bytes behind it that are no HTTP.
    private func giveUp(_ context: ChannelHandlerContext) {
        guard case .discarding(let head, let response, _) = state else { return }
        state = .lingering
        writeParts(response, to: head, keepAlive: false, context)
        context.flush()
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.linger) { loopBound.value.close(promise: nil) }
    }

    private func write(_ answer: HTTPResponse, to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var response = answer
        var heldBytes =
            response.body.readableBytes >= Self.largeAnswer && head.method != .HEAD ? response.body.readableBytes : 0
        if heldBytes > 0 && !limits.holdAnswer(heldBytes) {
            response = .text(.serviceUnavailable, "too much of earlier answers was not read yet")
            response.headers.add(name: "Retry-After", value: "1")
            heldBytes = 0
        }
        // After a request to upgrade the parser expects another protocol, and would not see the next request.
        let changesProtocol = head.headers.contains(name: "upgrade") || head.method == .CONNECT
        let keepAlive = head.isKeepAlive && !changesProtocol
        // Before the answer is written: then the next request comes at once, if it is here.
        if !keepAlive { state = .closing }
        writeParts(response, to: head, keepAlive: keepAlive, heldBytes: heldBytes, context)
        if context.channel.isWritable { return end(OpenAnswer(keepAlive: keepAlive), context) }
        unreadAnswer = OpenAnswer(keepAlive: keepAlive)
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let answer = unreadAnswer {
            unreadAnswer = nil
            end(answer, context)
        }
        context.fireChannelWritabilityChanged()
    }

    /// With the end of an answer the handler below hands on the next request before its write returns, and that one may be
    /// answered at once. Its end is written here, not there: a call within a call for each of the requests in a packet would
    /// use up the stack.
    private func end(_ answer: OpenAnswer, _ context: ChannelHandlerContext) {
        nextToEnd = answer
        if isEnding { return }
        isEnding = true
        defer { isEnding = false }
        while let answer = nextToEnd {
            nextToEnd = nil
            writeEnd(of: answer, context)
        }
    }

    private func writeEnd(of answer: OpenAnswer, _ context: ChannelHandlerContext) {
        slowRequests.answerEnded(at: context.eventLoop.now)
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.whenComplete { _ in
            let (connection, context) = loopBound.value
            connection.pendingAnswers -= 1
            if !answer.keepAlive || (connection.isInputClosed && connection.pendingAnswers == 0) {
                context.close(promise: nil)
            }
        }
    }

    /// - Parameter heldBytes: of the limit of unread answers, given back once the body is written.
    private func writeParts(
        _ response: HTTPResponse, to head: HTTPRequestHead, keepAlive: Bool, heldBytes: Int = 0,
        _ context: ChannelHandlerContext
    ) {
        var headers = response.headers
        headers.replaceOrAdd(name: "Content-Length", value: String(response.body.readableBytes))
        if !keepAlive {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if head.version == .http1_0 {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        let responseHead = HTTPResponseHead(version: head.version, status: response.status, headers: headers)
        context.write(wrapOutboundOut(.head(responseHead)), promise: nil)
        if response.body.readableBytes > 0 && head.method != .HEAD {
            let written = heldBytes > 0 ? context.eventLoop.makePromise(of: Void.self) : nil
            written?.futureResult.whenComplete { [limits] _ in limits.releaseAnswer(heldBytes) }
            context.write(wrapOutboundOut(.body(.byteBuffer(response.body))), promise: written)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is IdleStateHandler.IdleStateEvent: context.close(promise: nil)
        case let event as ChannelEvent where event == .inputClosed:
            isInputClosed = true
            if pendingAnswers == 0 { context.close(promise: nil) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the client, or an answer that could not be written.
        guard error is HTTPParserError else { return context.close(promise: nil) }
        limits.noteProtocolError()
        // A handler below has written 400, if no answer is half written. An empty write right above the socket is done when
        // that is, and with it all the answers to what came before: none is cut off.
        slowRequests.requestEnded()
        guard let lowest = try? context.pipeline.syncOperations.context(handler: slowRequests) else {
            return context.close(promise: nil)
        }
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        lowest.writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in loopBound.value.close(promise: nil) }
    }
}
