import NIOCore
import NIOHTTP1
import Testing

@testable import HTTPService

@Suite("A request over HTTP/1.1")
struct HTTP1RequestTests {
    private static let expect: HTTPHeaders = ["Expect": "100-Continue"]

    @Test("Its body comes in parts, and is answered at its end")
    func parts() {
        let stage = HTTP1Stage()
        #expect(stage.head(length: 12) == "nothing")
        #expect(stage.body(5) == "nothing")
        #expect(stage.body(7) == "nothing")
        #expect(stage.end() == "respond to 12")
        #expect(stage.answered() == "answer 200")
        #expect(stage.nextStep() == .proceed)
        #expect(stage.responder.asked.heads == 1)
    }

    @Test("The limit is asked once, however many parts there are")
    func limitOnce() {
        let stage = HTTP1Stage()
        _ = stage.head()
        for _ in 0..<10 { _ = stage.body(1) }
        #expect(stage.end() == "respond to 10")
        #expect(stage.responder.asked.limits == 1)
    }

    @Test("A body in one part is not copied", arguments: [9, nil])
    func wholePart(length: Int?) {
        let stage = HTTP1Stage()
        let part = ByteBuffer(repeating: 7, count: 9)
        _ = stage.head(length: length)
        _ = stage.body(part)
        #expect(stage.end() == "respond to 9")
        #expect(stage.received == part)
        #expect(address(stage.received) == address(part))
    }

    private func address(_ buffer: ByteBuffer?) -> UnsafeRawPointer? {
        buffer?.withUnsafeReadableBytes { $0.baseAddress }
    }

    @Test("A body in two parts is as it came, and leaves the first part as it was")
    func twoParts() {
        let stage = HTTP1Stage()
        let part = ByteBuffer(string: "ab")
        _ = stage.head()
        _ = stage.body(part)
        _ = stage.body(ByteBuffer(string: "c"))
        _ = stage.end()
        #expect(stage.received == ByteBuffer(string: "abc"))
        #expect(part == ByteBuffer(string: "ab"))
    }

    @Test("Space is made for a body as it is announced, but for no more than a megabyte at first")
    func reserved() throws {
        for (announced, space) in [(1 << 16, 1 << 16), (1 << 20, 1 << 20), (1 << 25, 1 << 20)] {
            let stage = HTTP1Stage(LengthResponder(maxBodyBytes: 1 << 25))
            _ = stage.head(length: announced)
            _ = stage.body(1)
            _ = stage.body(1)
            _ = stage.end()
            let received = try #require(stage.received)
            #expect(received.capacity == space)
        }
    }

    @Test("A client that asks whether it may send is told so, if it speaks HTTP/1.1")
    func invited() {
        #expect(HTTP1Stage().head(length: 5, Self.expect) == "invite")
        #expect(HTTP1Stage().head(version: .http1_0, length: 5, Self.expect) == "nothing")
        #expect(HTTP1Stage().head(length: 5, ["Expect": "200-ok"]) == "nothing")
    }

    @Test("A client that asks and is refused gets the answer at once, and the connection ends")
    func askedAndRefused() {
        #expect(HTTP1Stage().head(.POST, "/no", length: 5, Self.expect) == "answer 404 close and linger")
        #expect(HTTP1Stage().head(length: 1001, Self.expect) == "answer 413 close and linger")
    }

    @Test("One that is refused by its head is answered at its end")
    func refusedHead() {
        let stage = HTTP1Stage()
        #expect(stage.head(.POST, "/no", length: 9) == "nothing")
        #expect(stage.body(9) == "nothing")
        #expect(stage.end() == "answer 404")
        #expect(stage.answer?.body == ByteBuffer(string: "no\n"))
        #expect(stage.nextStep() == .proceed)
        #expect(stage.limits.heldBodyBytes == 0)
    }

    @Test("A body of the limit is received, one byte more is refused where it is announced and where it comes")
    func limit() {
        let exact = HTTP1Stage()
        #expect(exact.head(length: 1000) == "nothing")
        #expect(exact.body(1000) == "nothing")
        #expect(exact.end() == "respond to 1000")

        let announced = HTTP1Stage()
        #expect(announced.head(length: 1001) == "nothing")
        #expect(announced.responder.asked.refusals == [.tooLarge])
        #expect(announced.body(1001) == "nothing")
        #expect(announced.end() == "answer 413")

        let unannounced = HTTP1Stage()
        #expect(unannounced.head() == "nothing")
        #expect(unannounced.body(1000) == "nothing")
        #expect(unannounced.limits.heldBodyBytes == 1000)
        #expect(unannounced.body(1) == "nothing")
        #expect(unannounced.responder.asked.refusals == [.tooLarge])
        #expect(unannounced.limits.heldBodyBytes == 0)
        #expect(unannounced.body(500) == "nothing")
        #expect(unannounced.end() == "answer 413")
        #expect(unannounced.responder.asked.refusals == [.tooLarge])
    }

    @Test("A body that finds no space beside the others is refused, and holds nothing")
    func overloaded() {
        let limits = HTTPLimits(maxBodyBytes: 100)
        let listener = ListenerLimits(limits)
        let (first, second) = (HTTP1Stage(LengthResponder(), listener), HTTP1Stage(LengthResponder(), listener))
        for stage in [first, second] { _ = stage.head() }
        _ = first.body(60)
        // A connection may hold eight times what is left.
        _ = second.body(35)
        #expect(limits.heldBodyBytes == 95)
        _ = second.body(1)
        #expect(second.responder.asked.refusals == [.overloaded])
        #expect(limits.heldBodyBytes == 60)
        #expect(second.end() == "answer 503")
        _ = first.body(28)
        #expect(first.end() == "respond to 88")
    }

    @Test("A body that comes in one part finds space where there is none")
    func wholeBody() {
        let limits = HTTPLimits(maxBodyBytes: 0)
        let stage = HTTP1Stage(LengthResponder(), limits)
        _ = stage.head(length: 500)
        _ = stage.body(500)
        #expect(limits.heldBodyBytes == 0)
        #expect(stage.end() == "respond to 500")
        let unannounced = HTTP1Stage(LengthResponder(), limits)
        _ = unannounced.head()
        _ = unannounced.body(500)
        #expect(unannounced.end() == "answer 503")
    }

    @Test("A head that is not complete is held at three times its bytes, until it is or the connection ends")
    func incompleteHead() {
        let limits = HTTPLimits(maxBodyBytes: 0, streamBytes: 12_000)
        let stage = HTTP1Stage(LengthResponder(), limits)
        stage.bytes(at: 0)
        #expect(stage.read(100) && stage.read(200) && limits.heldStreamBytes == 900)
        _ = stage.head(length: 5)
        #expect(stage.read(50) && limits.heldStreamBytes == 0)
        _ = stage.body(5)
        _ = stage.end()
        _ = stage.answered()
        _ = stage.nextStep(at: 1)
        // Nothing has begun.
        #expect(stage.read(50) && limits.heldStreamBytes == 0)
        stage.bytes(at: 2)
        #expect(stage.read(2000) && !stage.read(1000) && limits.refusedHeads == 1)
        #expect(limits.heldStreamBytes == 6000)
        var other: HTTP1Stage? = HTTP1Stage(LengthResponder(), limits)
        other?.bytes(at: 0)
        #expect(other?.read(100) == true && limits.heldStreamBytes == 6300)
        other = nil
        #expect(limits.heldStreamBytes == 6000)
    }

    @Test("A refused body is dropped up to 64 MiB; then it is answered, and the connection lingers and ends")
    func drained() {
        let part = ByteBuffer(repeating: 0, count: 1 << 20)
        let stage = HTTP1Stage()
        #expect(stage.head(.POST, "/no") == "nothing")
        for _ in 0..<64 { #expect(stage.body(part) == "nothing") }
        #expect(stage.body(1) == "answer 404 close and linger")
        #expect(stage.body(part) == "nothing")
        #expect(stage.end() == "close")
    }

    @Test("What came before the limit counts as dropped")
    func drainedFromTheStart() {
        let stage = HTTP1Stage(LengthResponder(maxBodyBytes: 64 << 20), HTTPLimits(maxBodyBytes: 80 << 20))
        #expect(stage.head() == "nothing")
        let part = ByteBuffer(repeating: 0, count: 32 << 20)
        for _ in 0..<2 { #expect(stage.body(part) == "nothing") }
        #expect(stage.body(1) == "nothing")
        #expect(stage.responder.asked.refusals == [.tooLarge])
        #expect(stage.body(1) == "answer 413 close and linger")
    }

    @Test("A body that is announced as larger than what is dropped is answered at once")
    func announcedBeyondDrain() {
        #expect(HTTP1Stage().head(length: 64 << 20) == "nothing")
        #expect(HTTP1Stage().head(length: (64 << 20) + 1) == "answer 413 close and linger")
        #expect(HTTP1Stage().head(.POST, "/no", length: (64 << 20) + 1) == "answer 404 close and linger")
    }

    @Test("A faulty head is answered at once and counted, and the responder does not see it")
    func fault() {
        let stage = HTTP1Stage()
        #expect(stage.head(.POST, "/", ["Host": "a", "host": "b"]) == "answer 400 close and linger")
        #expect(stage.limits.protocolErrors == 1)
        #expect(stage.responder.asked.heads == 0)
    }

    @Test("A head that comes where none is due is dropped")
    func dropped() {
        let lingering = HTTP1Stage()
        _ = lingering.head(.POST, "/no", length: 5, Self.expect)
        let closing = HTTP1Stage()
        _ = closing.parserFailed()
        let answered = HTTP1Stage()
        answered.answeredRequest()
        for stage in [lingering, closing, answered] {
            let before = stage.responder.asked.heads
            #expect(stage.head() == "nothing")
            #expect(stage.body(1) == "nothing")
            #expect(stage.responder.asked.heads == before)
            #expect(stage.limits.heldBodyBytes == 0)
        }
    }

    @Test("Parts and ends without a head lead to nothing")
    func headless() {
        let stage = HTTP1Stage()
        #expect(stage.body(1) == "nothing")
        #expect(stage.end() == "nothing")
        #expect(stage.answered() == "nothing")
        #expect(stage.nextStep() == .nothing)
    }

    enum Abort: CaseIterable {
        case closed, parserFailed, inputClosed, tooSlow, end, gone
    }

    @Test("Whatever ends a body, its bytes are returned to the budget", arguments: Abort.allCases)
    func returned(abort: Abort) {
        let limits = HTTPLimits()
        var stage: HTTP1Stage? = HTTP1Stage(LengthResponder(), limits)
        stage?.bytes(at: 0)
        _ = stage?.head()
        _ = stage?.body(300)
        _ = stage?.body(200)
        #expect(limits.heldBodyBytes == 500)
        switch abort {
        case .closed: stage?.closed()
        case .parserFailed: #expect(stage?.parserFailed() == "answer 400 close and end")
        case .inputClosed: #expect(stage?.inputClosed() == "close")
        case .tooSlow: #expect(stage?.check(at: 60) == .tooSlow)
        case .end: #expect(stage?.end() == "respond to 500")
        case .gone: stage = nil
        }
        #expect(limits.heldBodyBytes == 0)
    }
}
