import NIOCore
import NIOHTTP1

/// The states of one HTTP/1.1 connection. It knows no channel and no clock: `HTTPConnection` tells it the events and
/// performs the actions that it returns.
///
/// | state      | head               | body part             | end                           | answer          | input closed |
/// |------------|--------------------|-----------------------|-------------------------------|-----------------|--------------|
/// | idle       | → receiving, or → discarding if the head is refused | – | –                | –               | close        |
/// | receiving  | –                  | keep; over a limit → discarding | respond → answering | –               | close        |
/// | discarding | –                  | drop; over the drain limit: answer → lingering | → answered | –           | close        |
/// | answering  | –                  | –                     | –                             | → answered, → streaming if more follows | the last one |
/// | streaming  | –                  | –                     | –                             | –               | the last one |
/// | answered   | –                  | –                     | –                             | –               | the last one |
/// | lingering  | –                  | drop                  | close                         | –               | close        |
/// | closing    | drop               | drop                  | drop                          | drop            | –            |
///
/// The program's end (`quiesce`) closes an idle connection, and makes the answer that is due the last one.
///
/// A refused body is read to its end before the answer, because a client that is still sending may not see an answer
/// that comes with a closed connection (the reset overtakes it). One that sends too much is answered at once and given
/// two seconds to read that.
///
/// The shell keeps what comes while a request is answered (`acceptsInput`), and goes on with it when `nextStep` says so. That is not
/// before the client has read most of the answer: a hundred requests in one packet do not make a hundred answers in memory.
struct HTTP1Machine: ~Copyable {
    enum Action {
        case nothing
        /// Tells the client to send its body (100).
        case invite
        /// Has the exchange answer, and wants to be told by `answered`.
        case respond(any HTTPExchange, ByteBuffer)
        /// Writes the answer, and asks for `nextStep`.
        case answer(HTTP1Answer)
        /// Writes the answer to a client that goes on sending, and closes two seconds later.
        case answerAndLinger(HTTP1Answer)
        /// Writes the answer, and closes once all answers are written.
        case answerAndClose(HTTP1Answer)
        /// Closes once all answers are written.
        case close
    }

    /// The step after an answer.
    enum NextStep: Equatable {
        /// No answer is written whose end is due.
        case nothing
        /// The client reads slowly. The next request waits until it has read more.
        case wait
        /// The next request has its turn.
        case proceed
        /// It was the last answer: close once it is written.
        case close
    }

    private enum State: ~Copyable {
        case idle
        case receiving(BodyReception, AnswerForm, announcedBytes: Int)
        case discarding(HTTPResponse, AnswerForm, dropped: Int)
        case answering(AnswerForm)
        /// The body is written, but for what is still to be made (`nextPiece`).
        case streaming(StreamedAnswer, isLast: Bool)
        /// The answer is written, or handed to the channel.
        case answered(isLast: Bool)
        /// The answer is written, and the rest of the body still comes.
        case lingering
        /// The last answer is on its way. What still comes gets none, so nothing may become of it.
        case closing
    }

    /// The bytes of a refused body that are read and dropped before it is answered.
    static let drainBytesMax = 64 << 20
    /// The space for a body whose head announces it; more is made as its bytes arrive.
    private static let reservedBytesMax = 1 << 20

    private let responder: any HTTPResponder
    private let share: ConnectionShare
    private var limits: HTTPLimits { share.limits }
    private var state = State.idle
    private var clock = RequestClock()
    /// The part of the share that an incomplete head holds.
    private var heldHeadBytes = 0
    /// The client, for the log.
    var peer: SocketAddress?

    init(_ responder: any HTTPResponder, _ share: ConnectionShare) {
        self.responder = responder
        self.share = share
    }

    private var isIdle: Bool {
        switch state {
        case .idle: true
        default: false
        }
    }

    /// True unless a request is being answered: what comes meanwhile has to wait.
    var acceptsInput: Bool {
        switch state {
        case .answering: false
        case .streaming: false
        case .answered: false
        default: true
        }
    }

    /// True if more bytes may be read: of a request behind the one that is being answered no more than one read is kept.
    var wantsBytes: Bool { acceptsInput || !clock.nextHasBegun }

    /// Takes the state out of the machine, so that there is no second reference to a body that is appended to.
    private mutating func takeState() -> State { exchange(&state, with: .closing) }

    // MARK: The request

    mutating func head(_ head: HTTPRequestHead, at now: NIODeadline) -> Action {
        guard isIdle else { return .nothing }
        // It may have waited behind another request, whose end has stopped the clock.
        clock.bytesArrived(at: now)
        share.becomeBusy()
        let form = AnswerForm(head)
        if let fault = head.fault {
            limits.recordProtocolError()
            return linger(fault, form)
        }
        let answer: HTTPResponse
        switch responder.judge(head, arrival: now) {
        case .answer(let response): answer = response
        case .receive(let exchange):
            let announced = head.announcedBytes
            let maxBytes = exchange.maxBodyBytes
            if announced > maxBytes {
                answer = exchange.refuse(.tooLarge)
            } else {
                let reserved = min(announced, Self.reservedBytesMax)
                let reception = BodyReception(exchange, maxBytes: maxBytes, reservedBytes: reserved, share)
                state = .receiving(reception, form, announcedBytes: announced)
                return head.expectsContinue ? .invite : .nothing
            }
        }
        // A client that waits for leave to send its body gets its answer instead.
        if head.announcedBytes > Self.drainBytesMax || head.expectsContinue { return linger(answer, form) }
        state = .discarding(answer, form, dropped: 0)
        return .nothing
    }

    mutating func body(_ part: ByteBuffer) -> Action {
        switch takeState() {
        case .receiving(var reception, let form, let announced):
            guard
                let reason = reception.append(
                    part, isWhole: announced > 0 && part.readableBytes >= announced, mayBeWhole: announced == 0)
            else {
                state = .receiving(reception, form, announcedBytes: announced)
                return .nothing
            }
            let dropped = reception.bytes.readableBytes + part.readableBytes
            state = .discarding(reception.exchange.refuse(reason), form, dropped: dropped)
            return .nothing
        case .discarding(let refusal, let form, let dropped):
            let total = dropped + part.readableBytes
            if total > Self.drainBytesMax { return linger(refusal, form) }
            state = .discarding(refusal, form, dropped: total)
            return .nothing
        case let other:
            state = other
            return .nothing
        }
    }

    mutating func end() -> Action {
        clock.requestEnded()
        switch takeState() {
        case .receiving(let reception, let form, _):
            state = .answering(form)
            return .respond(reception.exchange, reception.bytes)
        case .discarding(let refusal, let form, _):
            state = .answering(form)
            return answered(refusal)
        case .lingering:
            state = .closing
            return .close
        case let other:
            state = other
            return .nothing
        }
    }

    // MARK: The answer

    mutating func answered(_ response: HTTPResponse) -> Action {
        switch takeState() {
        case .answering(var form):
            limits.report(response.refusal, from: peer)
            let bytes = form.heldBytes(by: response)
            if bytes >= HTTP1Answer.largeBytes && !limits.holdAnswer(bytes) {
                state = .answered(isLast: !form.keepsAlive)
                return .answer(form.answer(unread()))
            }
            if let stream = form.stream(of: response) {
                state = .streaming(
                    StreamedAnswer(stream, isChunked: form.knowsChunks, heldBytes: bytes, limits),
                    isLast: !form.keepsAlive)
                return .answer(form.answer(response))
            }
            state = .answered(isLast: !form.keepsAlive)
            return .answer(form.answer(response, heldBytes: bytes < HTTP1Answer.largeBytes ? 0 : bytes))
        case let other:
            state = other
            return .nothing
        }
    }

    private func unread() -> HTTPResponse {
        var refusal = HTTPResponse.refused(
            .serviceUnavailable, reason: "unread", "too much of earlier answers was not read yet")
        refusal.headers.add(name: "Retry-After", value: "1")
        limits.report(refusal.refusal, from: peer)
        return refusal
    }

    /// True if more of the answer has to be made once the client has read what is written.
    var isStreaming: Bool {
        switch state {
        case .streaming: true
        default: false
        }
    }

    /// Makes the next piece of a streamed answer, its end included; returns nil where nothing of it is left.
    mutating func nextPiece() -> StreamPiece? {
        switch takeState() {
        case .streaming(let answer, let isLast):
            let piece = answer.next()
            if piece.isLast {
                state = .answered(isLast: isLast)
            } else {
                state = .streaming(answer, isLast: isLast)
            }
            return piece
        case let other:
            state = other
            return nil
        }
    }

    /// Decides how the connection goes on behind an answer. It is asked after each answer, and when the channel becomes writable.
    mutating func nextStep(isWritable: Bool, at now: NIODeadline) -> NextStep {
        switch takeState() {
        case .answered(let isLast):
            guard isWritable else {
                state = .answered(isLast: isLast)
                return .wait
            }
            clock.answerEnded(at: now)
            share.becomeIdle(at: now)
            state = isLast ? .closing : .idle
            return isLast ? .close : .proceed
        case let other:
            state = other
            return .nothing
        }
    }

    private mutating func linger(_ response: HTTPResponse, _ form: AnswerForm) -> Action {
        limits.report(response.refusal, from: peer)
        var form = form
        form.makeLast()
        state = .lingering
        return .answerAndLinger(form.answer(response))
    }

    // MARK: The end

    /// Records that the client has shut its side. It gets the answer that is due, if any.
    mutating func inputClosed() -> Action {
        switch takeState() {
        case .answering(var form):
            form.makeLast()
            state = .answering(form)
            return .nothing
        case .streaming(let answer, _):
            state = .streaming(answer, isLast: true)
            return .nothing
        case .answered:
            state = .answered(isLast: true)
            return .nothing
        case .closing:
            state = .closing
            return .nothing
        default:
            state = .closing
            return .close
        }
    }

    /// Records that the program ends: the request that is under way gets its answer, and no other does.
    mutating func quiesce() -> Action {
        switch takeState() {
        case .receiving(let reception, var form, let announced):
            form.makeLast()
            state = .receiving(reception, form, announcedBytes: announced)
            return .nothing
        case .discarding(let answer, var form, let dropped):
            form.makeLast()
            state = .discarding(answer, form, dropped: dropped)
            return .nothing
        case .lingering:
            state = .lingering
            return .nothing
        case let other:
            state = other
            return inputClosed()
        }
    }

    /// Records that the bytes are not HTTP. It is answered, unless the request that they belong to is. Where the connection
    /// ends anyway, what is cut off counts for nothing.
    mutating func parserFailed(_ refusal: HTTPRefusal? = nil) -> Action {
        let isBeingAnswered = !acceptsInput
        switch takeState() {
        case .closing: return .nothing
        case .lingering: return .close
        default: break
        }
        limits.recordProtocolError()
        limits.report(refusal, from: peer)
        clock.requestEnded()
        return isBeingAnswered ? .close : .answerAndClose(.badRequest)
    }

    mutating func closed() {
        state = .closing
    }

    // MARK: Time

    /// Records bytes that came, which may be all of an incomplete head.
    mutating func bytesArrived(at now: NIODeadline) {
        clock.bytesArrived(at: now)
    }

    /// Records bytes that were read and handled. Returns false, counted and logged, where there is no memory for the head that
    /// they leave incomplete; the connection is then to be closed.
    mutating func bytesRead(_ count: Int) -> Bool {
        guard isIdle, clock.isRunning else {
            share.releaseHead(heldHeadBytes)
            heldHeadBytes = 0
            return true
        }
        let bytes = count * HTTPMemory.bytesPerHeadByte
        guard share.holdHead(bytes) else {
            limits.recordRefusedHead(from: peer)
            state = .closing
            return false
        }
        heldHeadBytes += bytes
        return true
    }

    /// Returns whether the request that is coming takes too long, which is counted; the connection has to be closed
    /// then.
    mutating func checkSlowness(at now: NIODeadline) -> RequestClock.Check {
        let check = clock.check(at: now)
        if check == .tooSlow {
            limits.recordSlowRequest(from: peer)
            state = .closing
        }
        return check
    }
}

extension HTTPRequestHead {
    fileprivate var expectsContinue: Bool {
        version == .http1_1 && headers.first(name: "expect")?.lowercased() == "100-continue"
    }
}
