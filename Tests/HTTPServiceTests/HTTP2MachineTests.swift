import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import Testing

@testable import HTTPService

/// The machine of a connection. What it returns is told in words.
private final class Stage {
    let responder: LengthResponder
    let limits: HTTPLimits
    private var machine: HTTP2Machine

    init(_ responder: LengthResponder = LengthResponder(), _ limits: HTTPLimits = HTTPLimits()) {
        self.responder = responder
        self.limits = limits
        machine = HTTP2Machine(responder, limits.share())
    }

    func headers(
        _ id: HTTP2StreamID, _ path: String = "/", method: String = "POST", end: Bool = false, at seconds: Double = 0,
        _ more: HTTPHeaders = [:]
    ) -> String {
        var fields: HPACKHeaders = [":method": method, ":path": path, ":scheme": "http"]
        for (name, value) in more { fields.add(name: name, value: value) }
        return words(machine.headers(fields, isEnd: end, on: id, at: .seconds(seconds)))
    }

    func data(_ id: HTTP2StreamID, _ count: Int, end: Bool = false) -> String {
        data(id, ByteBuffer(repeating: 7, count: count), end: end)
    }

    func data(_ id: HTTP2StreamID, _ part: ByteBuffer, end: Bool = false) -> String {
        words(machine.data(part, isEnd: end, on: id))
    }

    func answered(_ id: HTTP2StreamID, bytes: Int = 0) -> String {
        words(machine.answered(HTTPResponse(.ok, body: [UInt8](repeating: 0, count: bytes)), on: id))
    }
    func streamClosed(_ id: HTTP2StreamID) -> String { words(machine.streamClosed(id, at: .seconds(0))) }
    func window(_ id: HTTP2StreamID, left: Int) -> String { words(machine.windowChanged(of: id, left: left)) }
    func check(at seconds: Double) -> [String] { machine.check(at: .seconds(seconds)).map(words).sorted() }
    func quiesce() -> String { words(machine.quiesce()) }
    func echoed() -> String { words(machine.echoed()) }
    func inputClosed() -> [String] { machine.inputClosed().map(words).sorted() }
    func closed() { machine.closed() }

    func failed(isAnswered: Bool, isGoodbye: Bool = false) -> String {
        words(machine.failed(isAnswered: isAnswered, isGoodbye: isGoodbye))
    }

    /// The last body that was to be responded to.
    private(set) var received: ByteBuffer?

    private func words(_ action: HTTP2Machine.Action) -> String {
        switch action {
        case .nothing: return "nothing"
        case .invite(let id): return "\(Int(id)) invite"
        case .respond(let id, _, let body):
            received = body
            return "\(Int(id)) respond to \(body.readableBytes)"
        case .answer(let id, let response, let omitsBody):
            return "\(Int(id)) answer \(response.status.code)\(omitsBody ? " without body" : "")"
        case .reset(let id, .noError): return "\(Int(id)) reset no error"
        case .reset(let id, .cancel): return "\(Int(id)) reset cancel"
        case .reset(let id, let code): return "\(Int(id)) reset \(code == .refusedStream ? "refused" : "calm")"
        case .handBack(let id, let bytes): return "\(Int(id)) hand back \(bytes)"
        case .announceEnd(let last): return "announce end after \(Int(last))"
        case .finish(let last): return "finish after \(Int(last))"
        case .close: return "close"
        }
    }
}

@Suite("Requests over HTTP/2")
struct HTTP2RequestTests {
    @Test("A body is received up to the limit, and refused beyond it")
    func limit() {
        let stage = Stage()
        #expect(stage.headers(1) == "nothing")
        #expect(stage.data(1, 999) == "nothing")
        #expect(stage.data(1, 1, end: true) == "1 respond to 1000")
        #expect(stage.answered(1) == "1 answer 200")

        #expect(stage.headers(3) == "nothing")
        #expect(stage.data(3, 1000) == "nothing")
        #expect(stage.limits.heldBodyBytes == 1000)
        #expect(stage.data(3, 1) == "3 answer 413")
        #expect(stage.limits.heldBodyBytes == 0)
        #expect(stage.data(3, 1000, end: true) == "nothing")
        #expect(stage.responder.asked.refusals == [.tooLarge])

        #expect(stage.headers(5, "/", ["content-length": "1000"]) == "nothing")
        #expect(stage.headers(7, "/", ["content-length": "1001"]) == "7 answer 413")
        #expect(stage.responder.asked.refusals == [.tooLarge, .tooLarge])
        #expect(stage.responder.asked.limits == 4)
    }

    @Test("A request may end with its head, with an empty part, or with trailers")
    func ends() {
        let stage = Stage()
        #expect(stage.headers(1, end: true) == "1 respond to 0")
        _ = stage.headers(3)
        _ = stage.data(3, 5)
        #expect(stage.data(3, 0, end: true) == "3 respond to 5")
        _ = stage.headers(5)
        _ = stage.data(5, 6)
        #expect(stage.headers(5, end: true) == "5 respond to 6")
        #expect(stage.headers(5, end: true) == "nothing")
        #expect(stage.data(5, 1, end: true) == "nothing")
        #expect(stage.responder.asked.heads == 3)
    }

    @Test("A body in one part is not copied; one in parts is as it came")
    func parts() {
        let stage = Stage()
        let part = ByteBuffer(string: "abc")
        _ = stage.headers(1)
        _ = stage.data(1, part, end: true)
        func address(_ buffer: ByteBuffer?) -> UnsafeRawPointer? {
            buffer?.withUnsafeReadableBytes { $0.baseAddress }
        }
        #expect(stage.received == part && address(stage.received) == address(part))
        _ = stage.headers(3)
        _ = stage.data(3, part)
        _ = stage.data(3, ByteBuffer(string: "d"), end: true)
        #expect(stage.received == ByteBuffer(string: "abcd"))
        #expect(part == ByteBuffer(string: "abc"))
    }

    @Test("Space is made for a body in parts up to the limit, but for no more than 64 KiB at first")
    func reserved() throws {
        for (limit, space) in [(1 << 10, 1 << 10), (1 << 20, 64 << 10)] {
            let stage = Stage(LengthResponder(maxBodyBytes: limit))
            _ = stage.headers(1)
            _ = stage.data(1, 1)
            _ = stage.data(1, 1, end: true)
            let received = try #require(stage.received)
            #expect(received.capacity == space)
        }
    }

    @Test("A refused head is answered at once, and its body dropped up to 4 MiB")
    func drained() {
        let stage = Stage()
        #expect(stage.headers(1, "/no") == "1 answer 404")
        for _ in 0..<4 { #expect(stage.data(1, 1 << 20) == "nothing") }
        #expect(stage.data(1, 1) == "1 reset no error")
        #expect(stage.headers(3, "/no", end: true) == "3 answer 404")
        #expect(stage.headers(5, "/no") == "5 answer 404")
        #expect(stage.data(5, (4 << 20) + 1, end: true) == "nothing")
    }

    @Test("A client that asks whether it may send is told so, and one whose request is complete is answered")
    func invited() {
        let expect: HTTPHeaders = ["expect": "100-Continue"]
        #expect(Stage().headers(1, "/", expect) == "1 invite")
        #expect(Stage().headers(1, end: true, expect) == "1 respond to 0")
        #expect(Stage().headers(1, "/no", expect) == "1 answer 404")
        #expect(Stage().headers(1, "/", ["expect": "else"]) == "nothing")
    }

    @Test("HEAD gets no body, whatever answers it")
    func headOnly() {
        let stage = Stage()
        _ = stage.headers(1, method: "HEAD", end: true)
        #expect(stage.answered(1) == "1 answer 200 without body")
        #expect(stage.headers(3, "/no", method: "HEAD") == "3 answer 404 without body")
    }

    @Test("The bodies of a connection have one limit together: eight ninths of what all may hold")
    func connectionLimit() {
        let limits = HTTPLimits(maxBodyBytes: 9 << 20)
        let stage = Stage(LengthResponder(maxBodyBytes: 1 << 20), limits)
        for id: HTTP2StreamID in [1, 3, 5, 7, 9, 11, 13, 15] {
            _ = stage.headers(id)
            #expect(stage.data(id, 1 << 20) == "nothing")
        }
        _ = stage.headers(17)
        #expect(stage.data(17, 1) == "17 answer 503")
        #expect(stage.responder.asked.refusals == [.overloaded])
        #expect(stage.streamClosed(1) == "nothing")
        _ = stage.headers(19)
        #expect(stage.data(19, 1 << 20) == "nothing")
        #expect(limits.heldBodyBytes == 8 << 20)
    }

    @Test("A body that comes in one part finds space where there is none")
    func wholeBody() {
        let stage = Stage(LengthResponder(), HTTPLimits(maxBodyBytes: 0))
        _ = stage.headers(1)
        #expect(stage.data(1, 500, end: true) == "1 respond to 500")
        _ = stage.headers(3)
        #expect(stage.data(3, 500) == "3 answer 503")
    }

    @Test("A stream that finds no memory is refused, so that its client sends again, and takes none when it is closed")
    func streams() {
        let limits = HTTPLimits(maxBodyBytes: 0, streamBytes: 12 * HTTPMemory.streamBytes)
        let stage = Stage(LengthResponder(), limits)
        let ids: [HTTP2StreamID] = [1, 3, 5, 7, 9, 11, 13]
        for id in ids { #expect(stage.headers(id, id == 5 ? "/no" : "/") != "\(Int(id)) reset refused") }
        _ = stage.headers(15)
        #expect(stage.headers(17) == "17 reset refused" && stage.headers(19, "/no") == "19 reset refused")
        #expect(limits.heldStreamBytes == 8 * HTTPMemory.streamBytes && limits.refusedHeads == 2)
        for id in ids + [15] { _ = stage.streamClosed(id) }
        #expect(limits.heldStreamBytes == 0)
    }

    @Test("A large answer is held until its stream is closed; one that finds no space resets it")
    func largeAnswers() {
        let limits = HTTPLimits(maxBodyBytes: 0, streamBytes: 12 * HTTPMemory.streamBytes)
        let stage = Stage(LengthResponder(), limits)
        for id: HTTP2StreamID in [1, 3, 5] { _ = stage.headers(id, end: true) }
        #expect(stage.answered(1, bytes: 512) == "1 answer 200")
        #expect(limits.heldStreamBytes == 3 * HTTPMemory.streamBytes)
        #expect(stage.answered(3, bytes: 4 * HTTPMemory.streamBytes) == "3 answer 200")
        #expect(stage.answered(5, bytes: 2 * HTTPMemory.streamBytes) == "5 reset calm")
        for id: HTTP2StreamID in [1, 3, 5] { _ = stage.streamClosed(id) }
        #expect(limits.heldStreamBytes == 0)
    }

    @Test("A body that finds no space beside those of other connections is refused")
    func overloaded() {
        let limits = HTTPLimits(maxBodyBytes: 100)
        let other = limits.share()
        #expect(other.holdBody(60))
        let stage = Stage(LengthResponder(), limits)
        _ = stage.headers(1)
        #expect(stage.data(1, 35) == "nothing")
        #expect(stage.data(1, 1, end: true) == "1 answer 503")
        #expect(limits.heldBodyBytes == 60 && other.bodyBytes == 60)
    }

    enum Abort: CaseIterable {
        case streamClosed, closed, end, gone
    }

    @Test("Whatever ends a body, its bytes are returned to the budgets", arguments: Abort.allCases)
    func returned(abort: Abort) {
        let limits = HTTPLimits()
        var stage: Stage? = Stage(LengthResponder(), limits)
        _ = stage?.headers(1)
        _ = stage?.data(1, 300)
        _ = stage?.data(1, 200)
        #expect(limits.heldBodyBytes == 500)
        switch abort {
        case .streamClosed: #expect(stage?.streamClosed(1) == "nothing")
        case .closed: stage?.closed()
        case .end: #expect(stage?.data(1, 0, end: true) == "1 respond to 500")
        case .gone: stage = nil
        }
        #expect(limits.heldBodyBytes == 0)
    }

    @Test("An answer for a stream that is closed goes nowhere, and so do its late parts")
    func lateAnswer() {
        let stage = Stage()
        _ = stage.headers(1, end: true)
        #expect(stage.streamClosed(1) == "nothing")
        #expect(stage.answered(1) == "nothing")
        #expect(stage.data(1, 5, end: true) == "nothing")
    }

    @Test("Windows are handed back once less than half is left, for streams that there are")
    func windows() {
        let stage = Stage()
        _ = stage.headers(1)
        #expect(stage.window(1, left: 1 << 19) == "nothing")
        #expect(stage.window(1, left: (1 << 19) - 1) == "1 hand back \((1 << 19) + 1)")
        #expect(stage.window(.rootStream, left: 1 << 21) == "nothing")
        #expect(stage.window(.rootStream, left: (1 << 21) - 1) == "0 hand back \((1 << 21) + 1)")
        #expect(stage.window(3, left: 0) == "nothing")
    }
}

@Suite("The end of an HTTP/2 connection")
struct HTTP2EndTests {
    @Test("A stream that has not moved since the last look is reset, at whatever it is")
    func stalled() {
        let stage = Stage()
        _ = stage.headers(1)
        _ = stage.headers(3, end: true)
        _ = stage.headers(5, "/no")
        #expect(stage.check(at: 1) == [])
        _ = stage.data(1, 1)
        _ = stage.data(5, 1)
        #expect(stage.check(at: 2) == ["3 reset cancel"])
        #expect(stage.check(at: 3) == ["1 reset cancel", "3 reset cancel", "5 reset cancel"])
        #expect(stage.limits.slowRequests == 0)
    }

    @Test("A request that takes longer than a minute is reset and counted, one that is being answered is not")
    func slow() {
        let stage = Stage()
        _ = stage.headers(1)
        _ = stage.headers(3, "/no")
        _ = stage.headers(5, end: true)
        #expect(stage.check(at: 60) == [])
        for id in [1, 3] as [HTTP2StreamID] { _ = stage.data(id, 1) }
        _ = stage.data(5, 0)
        #expect(stage.check(at: 60.001) == ["1 reset cancel", "3 reset cancel"])
        #expect(stage.limits.slowRequests == 2)
    }

    @Test("A connection ends that had no request since the last look")
    func idle() {
        let stage = Stage()
        #expect(stage.check(at: 1) == [])
        _ = stage.headers(1, end: true)
        _ = stage.streamClosed(1)
        #expect(stage.check(at: 2) == [])
        #expect(stage.check(at: 3) == ["announce end after 1"])
        #expect(stage.check(at: 4) == ["nothing"])
        #expect(stage.echoed() == "finish after 1")
    }

    @Test("One with a stream does not idle")
    func busy() {
        let stage = Stage()
        _ = stage.headers(1)
        for second in 1..<10 {
            #expect(stage.check(at: Double(second)) == [])
            _ = stage.data(1, 1)
        }
    }

    @Test("One that is told to end says so once, waits for the echo and the last stream, and finishes once")
    func quiesced() {
        let stage = Stage()
        _ = stage.headers(5, end: true)
        _ = stage.headers(3, end: true)
        #expect(stage.quiesce() == "announce end after 5")
        #expect(stage.quiesce() == "nothing")
        #expect(stage.streamClosed(3) == "nothing")
        #expect(stage.echoed() == "nothing")
        #expect(stage.answered(5) == "5 answer 200")
        #expect(stage.streamClosed(5) == "finish after 5")
        #expect(stage.echoed() == "nothing")
        #expect(stage.streamClosed(5) == "nothing")
    }

    @Test("The streams may close before the echo is here")
    func echoLast() {
        let stage = Stage()
        _ = stage.headers(1, end: true)
        _ = stage.quiesce()
        #expect(stage.streamClosed(1) == "nothing")
        #expect(stage.echoed() == "finish after 1")
    }

    @Test("An echo of what was not sent leads to nothing")
    func strayEcho() {
        let stage = Stage()
        #expect(stage.echoed() == "nothing")
        #expect(stage.quiesce() == "announce end after 0")
    }

    @Test("A client that shuts its side gets the answers that are due, and no others")
    func inputClosed() {
        let stage = Stage()
        _ = stage.headers(1, end: true)
        _ = stage.headers(3)
        _ = stage.headers(5, "/no")
        #expect(stage.inputClosed() == ["3 reset cancel", "5 reset cancel", "nothing"])
        #expect(stage.streamClosed(3) == "nothing")
        #expect(stage.streamClosed(5) == "nothing")
        #expect(stage.answered(1) == "1 answer 200")
        #expect(stage.streamClosed(1) == "finish after 5")
        #expect(stage.inputClosed() == [])
        #expect(Stage().inputClosed() == ["finish after 0"])
    }

    @Test("An error of a stream leaves the connection alone, until that is to end")
    func streamError() {
        let stage = Stage()
        #expect(stage.failed(isAnswered: false) == "nothing")
        _ = stage.quiesce()
        #expect(stage.failed(isAnswered: false) == "close")
        #expect(stage.limits.protocolErrors == 0)
    }

    @Test("An error of the connection closes it, and is counted unless it is how grpc-go says goodbye")
    func connectionError() {
        let strange = Stage()
        #expect(strange.failed(isAnswered: true) == "close")
        #expect(strange.failed(isAnswered: true, isGoodbye: true) == "close")
        #expect(strange.limits.protocolErrors == 2)

        let busy = Stage()
        _ = busy.headers(1)
        #expect(busy.failed(isAnswered: true, isGoodbye: true) == "close")
        #expect(busy.limits.protocolErrors == 1)

        let done = Stage()
        _ = done.headers(1, end: true)
        _ = done.streamClosed(1)
        #expect(done.failed(isAnswered: true, isGoodbye: true) == "close")
        #expect(done.limits.protocolErrors == 0)
    }
}
