import NIOCore
import NIOHTTP1

/// The shell of one HTTP/1.1 connection: tells `HTTP1Machine` the events, and performs its actions on the channel.
///
/// It is the only handler above the decoder, and writes bytes. NIO's handlers for answers, pipelined requests, errors, idle
/// connections and slow readers cost a small request a third of its instructions, and two system calls (docs/PERFORMANCE.md).
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What comes in its order, while the request before it is answered.
    private enum Arrival {
        case part(HTTPServerRequestPart)
        case parserFailed(HTTPRefusal)
        case inputClosed

        /// The bytes of memory that it takes, estimated. The texts of a head are objects, most of them small.
        var bytes: Int {
            switch self {
            case .part(.head(let head)):
                head.headers.reduce(512 + head.uri.utf8.count) { $0 + 160 + $1.name.utf8.count + $1.value.utf8.count }
            case .part(.body(let part)): 64 + part.readableBytes
            case .part(.end), .parserFailed, .inputClosed: 64
            }
        }
    }

    private static let linger = TimeAmount.seconds(2)
    /// The largest body that is written together with its head, at the cost of a copy.
    private static let copiedBodyBytes = 4096

    private let limits: HTTPLimits
    private var machine: HTTP1Machine
    /// What came while a request is answered: two reads of the socket (see `wantsBytes`), or all that a client sent before it shut
    /// its side. Its bytes are held of the share.
    private var waiting = CircularBuffer<Arrival>(initialCapacity: 0)
    private let share: ConnectionShare
    /// True if the channel wants to read, and may not yet.
    private var isReadHeldBack = false
    /// True while `proceed` is on the stack. A write or a flush may say from within that the channel is writable again; the loop
    /// that is running sees it, because a call within a call for each of the requests in a packet would use up the stack.
    private var isProceeding = false
    /// The time when bytes were last read or written.
    private(set) var lastTraffic = NIODeadline.uptimeNanoseconds(0)
    /// True if the first bytes of the connection are those of a TLS handshake; nil before any came.
    private var beginsWithTLS: Bool?

    init(_ responder: any HTTPResponder, _ share: ConnectionShare) {
        limits = share.limits
        self.share = share
        machine = HTTP1Machine(responder, share)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        machine.peer = context.remoteAddress
        lastTraffic = context.eventLoop.now
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        take(.part(unwrapInboundIn(data)), context)
    }

    func read(context: ChannelHandlerContext) {
        if mayRead(context) {
            context.read()
        } else {
            isReadHeldBack = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            lastTraffic = context.eventLoop.now
            proceed(context)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            dropWaiting()
            perform(machine.quiesce(), context)
        case let event as ChannelEvent where event == .inputClosed:
            // While a request is answered, and none waits, the machine has to know: it is the last one.
            if waiting.isEmpty { perform(machine.inputClosed(), context) } else { wait(.inputClosed, context) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Any other error is a reset by the client, or an answer that could not be written.
        guard error is HTTPParserError else { return context.close(promise: nil) }
        take(.parserFailed(beginsWithTLS == true ? Self.tls : Self.noHTTP(error)), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed(context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        closed(context)
    }

    private func closed(_ context: ChannelHandlerContext) {
        limits.streams.remove(context.channel)
        dropWaiting()
        machine.closed()
    }

    private static let tls = HTTPRefusal(
        "tls",
        "a TLS handshake came to a port without TLS; the client has to use http:// (gRPC: insecure), or a proxy with TLS",
        event: "connection ended")

    private static func noHTTP(_ error: any Error) -> HTTPRefusal {
        HTTPRefusal("protocol", "the bytes are not HTTP: \(error)", event: "connection ended")
    }

    /// Records bytes for `TimeoutHandler`, which sees them before they are decoded.
    func bytesArrived(_ bytes: ByteBuffer, at now: NIODeadline) {
        if beginsWithTLS == nil {
            // A handshake record (22) of version 3.x: RFC 8446, 5.1.
            let first = bytes.readableBytesView.prefix(2)
            beginsWithTLS = first.elementsEqual([0x16, 0x03]) || first.elementsEqual([0x16])
        }
        lastTraffic = now
        machine.bytesArrived(at: now)
    }

    /// Records bytes for `TimeoutHandler`, once they are decoded. Returns false where the memory for what they
    /// leave incomplete is missing.
    func bytesRead(_ count: Int) -> Bool { machine.bytesRead(count) }

    func checkSlowness(at now: NIODeadline) -> RequestClock.Check { machine.checkSlowness(at: now) }

    // MARK: Order

    private func take(_ arrival: Arrival, _ context: ChannelHandlerContext) {
        if !machine.acceptsInput || !waiting.isEmpty { return wait(arrival, context) }
        handle(arrival, context)
    }

    /// Keeps what came. The connection is closed, counted and logged, where the memory for it is missing: else a client would be
    /// read for as long as it sends.
    private func wait(_ arrival: Arrival, _ context: ChannelHandlerContext) {
        guard share.holdHead(arrival.bytes) else {
            limits.recordRefusedHead(from: machine.peer)
            return context.close(promise: nil)
        }
        waiting.append(arrival)
    }

    private func takeWaiting() -> Arrival? {
        guard let next = waiting.popFirst() else { return nil }
        share.releaseHead(next.bytes)
        return next
    }

    private func dropWaiting() {
        while takeWaiting() != nil {}
    }

    private func handle(_ arrival: Arrival, _ context: ChannelHandlerContext) {
        switch arrival {
        case .part(.head(let head)): perform(machine.head(head, at: context.eventLoop.now), context)
        case .part(.body(let part)): perform(machine.body(part), context)
        case .part(.end): perform(machine.end(), context)
        case .parserFailed(let refusal): perform(machine.parserFailed(refusal), context)
        case .inputClosed: perform(machine.inputClosed(), context)
        }
    }

    /// A client that does not read its answers is not read from, and neither is one whose next requests are here.
    private func mayRead(_ context: ChannelHandlerContext) -> Bool {
        waiting.isEmpty && machine.wantsBytes && context.channel.isWritable
    }

    /// Goes on behind an answer, and with what has come meanwhile, for as long as the client reads.
    private func proceed(_ context: ChannelHandlerContext) {
        if isProceeding { return }
        isProceeding = true
        advance(context)
        isProceeding = false
        if isReadHeldBack && mayRead(context) {
            isReadHeldBack = false
            context.read()
        }
    }

    private func advance(_ context: ChannelHandlerContext) {
        var isWritten = true
        defer { if isWritten { context.flush() } }
        while true {
            if machine.isStreaming && !writePiece(context) {
                isWritten = false
                return
            }
            switch machine.nextStep(isWritable: context.channel.isWritable, at: context.eventLoop.now) {
            case .wait:
                context.flush()
                if context.channel.isWritable { continue }
                isWritten = false
                return
            case .close: return closeWhenWritten(context)
            case .proceed, .nothing:
                guard machine.acceptsInput, let next = takeWaiting() else { return }
                handle(next, context)
            }
        }
    }

    // MARK: Actions

    private func perform(_ action: HTTP1Machine.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .nothing: break
        case .invite:
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        case .respond(let exchange, let body): respond(exchange, to: body, context)
        case .answer(let answer):
            write(answer, context)
            proceed(context)
        case .answerAndLinger(let answer):
            write(answer, context)
            context.flush()
            let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: Self.linger) { loopBound.value.close(promise: nil) }
        case .answerAndClose(let answer):
            write(answer, context)
            closeWhenWritten(context)
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
        lastTraffic = context.eventLoop.now
        let isCopied = !answer.isChunked && answer.heldBytes == 0 && answer.bodyBytes <= Self.copiedBodyBytes
        var head = context.channel.allocator.buffer(capacity: 256 + (isCopied ? answer.bodyBytes : 0))
        answer.writeHead(into: &head)
        if isCopied, let body = answer.body { head.writeImmutableBuffer(body) }
        context.write(wrapOutboundOut(head), promise: nil)
        guard let body = answer.body, !isCopied else { return }
        if answer.heldBytes == 0 || answer.isChunked {
            return StreamPiece(bytes: body, isChunked: answer.isChunked).write {
                context.write(wrapOutboundOut($0), promise: nil)
            }
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [limits] _ in limits.releaseAnswer(answer.heldBytes) }
        context.write(wrapOutboundOut(body), promise: written)
    }

    /// Writes the next piece of a streamed answer, if the client has read what was written. Returns true if it was the
    /// last one.
    private func writePiece(_ context: ChannelHandlerContext) -> Bool {
        let channel = context.channel
        if !channel.isWritable { context.flush() }
        // One that is full says when it is so no more.
        guard channel.isWritable, let piece = machine.nextPiece() else { return false }
        piece.write { context.write(wrapOutboundOut($0), promise: nil) }
        if piece.isLast {
            limits.streams.remove(channel)
            return true
        }
        lastTraffic = context.eventLoop.now
        limits.streams.recordPiece(channel, at: lastTraffic)
        context.flush()
        // Other connections have their turn between two pieces.
        if channel.isWritable {
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.execute { loopBound.value.0.proceed(loopBound.value.1) }
        }
        return false
    }

    /// Closes by an empty write, which is done when all the answers before it are: none is cut off.
    private func closeWhenWritten(_ context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in loopBound.value.close(promise: nil) }
    }
}
