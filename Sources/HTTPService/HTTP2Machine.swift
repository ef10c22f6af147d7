import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// The states of one HTTP/2 connection and of its streams. It knows no channel and no clock: `HTTP2Connection` tells it
/// the events and performs the actions that it returns.
///
/// | stream     | HEADERS            | DATA                  | END_STREAM  | closed by either side |
/// |------------|--------------------|-----------------------|-------------|-----------------------|
/// | –          | → receiving, or refusal → discarding | –   | –           | –                     |
/// | receiving  | (trailers)         | keep; over a limit, refusal → discarding | respond → answering | forgotten |
/// | answering  | –                  | –                     | –           | forgotten             |
/// | discarding | –                  | drop; over the drain limit → RST_STREAM (NO_ERROR) | – | forgotten |
///
/// A connection ends with GOAWAY, which names the last request that gets an answer; a client knows that later ones were
/// not looked at, and sends them again elsewhere. A PING goes with it: once its echo is here, or does not come, and the
/// last stream is closed, so is the connection.
struct HTTP2Machine: ~Copyable {
    enum Action {
        case nothing
        /// Tells the client to send the body of the stream (100).
        case invite(HTTP2StreamID)
        /// Has the exchange answer, and wants to be told by `answered`.
        case respond(HTTP2StreamID, any HTTPExchange, ByteBuffer)
        case answer(HTTP2StreamID, HTTPResponse, omitsBody: Bool)
        case reset(HTTP2StreamID, HTTP2ErrorCode)
        /// Lets the client send this number of bytes more.
        case handBack(HTTP2StreamID, bytes: Int)
        /// Writes GOAWAY and PING, and wants to be told by `echoed` when the echo is here or does not come.
        case announceEnd(last: HTTP2StreamID)
        /// Writes GOAWAY once more, and closes when it is written or the client does not read it.
        case finish(last: HTTP2StreamID)
        case close
    }

    private enum Ending {
        case no
        case announced(isEchoed: Bool)
        case closing
    }

    private let responder: any HTTPResponder
    private let share: ConnectionShare
    private var limits: HTTPLimits { share.limits }
    private var streams: [HTTP2StreamID: HTTP2Stream] = [:]
    private var lastStreamID = HTTP2StreamID.rootStream
    /// True if a request came since the last look at connections that idle.
    private var isUsed = true
    private var ending = Ending.no
    /// The client, for the log.
    var peer: SocketAddress?

    init(_ responder: any HTTPResponder, _ share: ConnectionShare) {
        self.responder = responder
        self.share = share
    }

    // MARK: Requests

    mutating func headers(
        _ fields: HPACKHeaders, isEnd: Bool, on id: HTTP2StreamID, at now: NIODeadline
    ) -> Action {
        isUsed = true
        share.becomeBusy()
        if let stream = streams[id] {
            // These are trailers of the request, which say nothing that is needed.
            return isEnd ? received(ByteBuffer(), isEnd: true, by: stream, id) : .nothing
        }
        let head = HTTPRequestHead(fields)
        lastStreamID = max(lastStreamID, id)
        let omitsBody = head.method == .HEAD
        let answer: HTTPResponse
        switch responder.judge(head, arrival: now) {
        case .answer(let response): answer = response
        case .receive(let exchange):
            let announced = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
            let maxBytes = exchange.maxBodyBytes
            if announced > maxBytes {
                answer = exchange.refuse(.tooLarge)
                break
            }
            let stream = HTTP2Stream(exchange, maxBytes: maxBytes, share, omitsBody: omitsBody, arrival: now)
            guard open(stream, id) else { return refuseStream(id) }
            if isEnd { return received(ByteBuffer(), isEnd: true, by: stream, id) }
            return head.headers.first(name: "expect")?.lowercased() == "100-continue" ? .invite(id) : .nothing
        }
        let stream = HTTP2Stream(answeredWhileIncomplete: !isEnd, share, omitsBody: omitsBody, arrival: now)
        guard open(stream, id) else { return refuseStream(id) }
        return self.answer(answer, on: id, omitsBody: omitsBody)
    }

    /// Opens a stream. Returns false where the memory for one more is missing.
    private mutating func open(_ stream: HTTP2Stream, _ id: HTTP2StreamID) -> Bool {
        guard stream.hold(HTTPMemory.streamBytes) else { return false }
        streams[id] = stream
        return true
    }

    /// Refuses a stream by RFC 9113, 8.7: nothing was done with the request, and the client may send it again.
    private func refuseStream(_ id: HTTP2StreamID) -> Action {
        limits.recordRefusedHead(from: peer)
        return .reset(id, .refusedStream)
    }

    private func answer(_ response: HTTPResponse, on id: HTTP2StreamID, omitsBody: Bool) -> Action {
        limits.report(response.refusal, from: peer)
        let bytes = omitsBody ? 0 : response.body.readableBytes
        if bytes > HTTP2Limits.smallAnswerBytes, streams[id]?.hold(bytes) == false {
            limits.recordRefusedHead(from: peer)
            return .reset(id, .enhanceYourCalm)
        }
        return .answer(id, response, omitsBody: omitsBody)
    }

    mutating func data(_ part: ByteBuffer, isEnd: Bool, on id: HTTP2StreamID) -> Action {
        guard let stream = streams[id] else { return .nothing }
        stream.isMoving = true
        return received(part, isEnd: isEnd, by: stream, id)
    }

    private mutating func received(
        _ part: ByteBuffer, isEnd: Bool, by stream: HTTP2Stream, _ id: HTTP2StreamID
    ) -> Action {
        switch stream.receive(part, isEnd: isEnd) {
        case .nothing: return .nothing
        case .complete(let exchange, let body): return .respond(id, exchange, body)
        // The body has not come yet; its rest is dropped.
        case .refused(let refusal): return answer(refusal, on: id, omitsBody: stream.omitsBody)
        // RFC 9113, 8.1: the answer is complete, the client is asked to stop.
        case .overDrained: return .reset(id, .noError)
        }
    }

    mutating func answered(_ response: HTTPResponse, on id: HTTP2StreamID) -> Action {
        guard let stream = streams[id] else { return .nothing }  // The client has gone away meanwhile.
        return answer(response, on: id, omitsBody: stream.omitsBody)
    }

    mutating func streamClosed(_ id: HTTP2StreamID, at now: NIODeadline) -> Action {
        streams[id] = nil
        if streams.isEmpty { share.becomeIdle(at: now) }
        return finishIfDone()
    }

    /// Returns what was read to the client's window. It is in a body or dropped, and both are bounded: the client may
    /// send as much again.
    func windowChanged(of id: HTTP2StreamID, left: Int) -> Action {
        let isConnection = id == .rootStream
        let target = isConnection ? HTTP2Limits.connectionWindowBytes : HTTP2Limits.streamWindowBytes
        guard left < target / 2, isConnection || streams[id] != nil else { return .nothing }
        return .handBack(id, bytes: target - left)
    }

    // MARK: The end

    /// Resets the streams that take too long or have not moved since the last look, and ends a connection that idles.
    mutating func check(at now: NIODeadline) -> [Action] {
        if streams.isEmpty && !isUsed { return [quiesce()] }
        isUsed = false
        let latest = now - .seconds(HTTPLimits.requestSeconds)
        var resets: [Action] = []
        for (id, stream) in streams {
            let isSlow = stream.isIncomplete && stream.arrival < latest
            if isSlow { limits.recordSlowRequest(from: peer) }
            if isSlow || !stream.isMoving { resets.append(.reset(id, .cancel)) }
            stream.isMoving = false
        }
        return resets
    }

    /// Answers the requests that have begun, and no others.
    mutating func quiesce() -> Action {
        guard case .no = ending else { return .nothing }
        ending = .announced(isEchoed: false)
        return .announceEnd(last: lastStreamID)
    }

    mutating func echoed() -> Action {
        if case .announced = ending { ending = .announced(isEchoed: true) }
        return finishIfDone()
    }

    private mutating func finishIfDone() -> Action {
        guard case .announced(isEchoed: true) = ending, streams.isEmpty else { return .nothing }
        ending = .closing
        return .finish(last: lastStreamID)
    }

    /// Records that the client has shut its side. It still reads, and gets the answers that are due.
    mutating func inputClosed() -> [Action] {
        let resets = streams.filter { $0.value.isIncomplete }.map { Action.reset($0.key, .cancel) }
        if case .closing = ending { return resets }
        ending = .announced(isEchoed: true)
        return resets + [finishIfDone()]
    }

    /// - Parameters:
    ///   - isAnswered: The handler below has answered with GOAWAY. Most errors are one stream's, which it has reset.
    ///   - isGoodbye: The client is leaving: grpc-go says so by a GOAWAY that names its own last stream, where it
    ///     should name ours.
    ///   - refusal: The line for the log, where the client has broken the protocol.
    mutating func failed(isAnswered: Bool, isGoodbye: Bool, _ refusal: HTTPRefusal? = nil) -> Action {
        if isAnswered {
            let isEnd = isGoodbye && streams.isEmpty && lastStreamID != .rootStream
            if !isEnd {
                limits.recordProtocolError()
                limits.report(refusal, from: peer)
            }
            return .close
        }
        if case .no = ending { return .nothing }
        return .close
    }

    mutating func closed() {
        streams = [:]
    }
}
