import Model
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPService

@Suite("An answer over HTTP/1.1")
struct HTTP1AnswerTests {
    @Test(
        "The connection goes on where the request leaves it so, and the answer says what its version does not",
        arguments: [
            (.http1_1, [:], "answer 200"),
            (.http1_1, ["Connection": "keep-alive"], "answer 200"),
            (.http1_1, ["Connection": "close"], "answer 200 close"),
            (.http1_1, ["Connection": "TE, Close"], "answer 200 close"),
            (.http1_0, [:], "answer 200 close"),
            (.http1_0, ["Connection": "keep-alive"], "answer 200 keep-alive"),
            (.http1_1, ["Connection": "Upgrade", "Upgrade": "h2c"], "answer 200 close"),
            (.http1_1, ["Upgrade": "h2c"], "answer 200 close"),
            (.http1_1, ["Connection": "Upgrade"], "answer 200"),
        ] as [(HTTPVersion, HTTPHeaders, String)])
    func keepAlive(version: HTTPVersion, fields: HTTPHeaders, expected: String) {
        let stage = HTTP1Stage()
        _ = stage.head(version: version, fields)
        _ = stage.end()
        #expect(stage.answered() == expected)
        #expect(stage.answer?.head.version == version)
        let goesOn = !expected.hasSuffix("close")
        #expect(stage.nextStep() == (goesOn ? .proceed : .close))
        _ = stage.head()
        #expect(stage.responder.asked.heads == (goesOn ? 2 : 1))
    }

    @Test("CONNECT is no tunnel: the connection ends")
    func connect() {
        let stage = HTTP1Stage()
        stage.answeredRequest(.CONNECT, "/no")
        #expect(stage.nextStep() == .close)
    }

    @Test("HEAD gets the length of the body, and no body")
    func headOnly() {
        let stage = HTTP1Stage()
        _ = stage.head(.HEAD)
        _ = stage.end()
        _ = stage.answered(HTTPResponse(.ok, body: [1, 2, 3]))
        #expect(stage.answer?.head.headers["content-length"] == ["3"])
        #expect(stage.answer?.body == nil)
    }

    @Test("An empty body is none, and its length says so")
    func empty() {
        let stage = HTTP1Stage()
        _ = stage.head(.GET)
        _ = stage.end()
        _ = stage.answered(HTTPResponse(.ok))
        #expect(stage.answer?.head.headers["content-length"] == ["0"])
        #expect(stage.answer?.body == nil)
    }

    @Test("The headers of the response stay, but for the length and the connection")
    func headers() {
        let stage = HTTP1Stage()
        _ = stage.head(.POST, "/", ["Connection": "close"])
        _ = stage.end()
        var response = HTTPResponse.text(.ok, "x")
        response.headers.add(contentsOf: ["Content-Length": "77", "Connection": "keep-alive", "Retry-After": "1"])
        _ = stage.answered(response)
        #expect(
            stage.answer?.head.headers == [
                "Content-Type": "text/plain; charset=utf-8", "Content-Length": "2", "Connection": "close",
                "Retry-After": "1",
            ])
        #expect(stage.answer?.body == ByteBuffer(string: "x\n"))
    }

    @Test("A status without a body has no length")
    func noBody() {
        let stage = HTTP1Stage()
        _ = stage.head(.GET)
        _ = stage.end()
        _ = stage.answered(HTTPResponse(.notModified))
        #expect(stage.answer?.head.headers == [:])
    }

    @Test("A field's value can't end its line")
    func splitting() {
        let headers: HTTPHeaders = ["A": "b\r\nC: d\u{0}", "E": "ü"]
        let answer = HTTP1Answer(
            head: HTTPResponseHead(version: .http1_0, status: .custom(code: 299, reasonPhrase: "x"), headers: headers),
            body: nil)
        var written = ByteBuffer()
        answer.writeHead(into: &written)
        #expect(String(buffer: written) == "HTTP/1.0 299 x\r\nA: b  C: d \r\nE: ü\r\n\r\n")
    }

    // MARK: Answers that are not read

    private func answer(_ method: HTTPMethod = .GET, bytes: Int, _ limits: HTTPLimits) -> HTTP1Answer? {
        let stage = HTTP1Stage(LengthResponder(), limits)
        _ = stage.head(method)
        _ = stage.end()
        _ = stage.answered(HTTPResponse(.ok, body: [UInt8](repeating: 0, count: bytes)))
        return stage.answer
    }

    @Test("Answers of 16 KiB and more are counted until they are written; one of any size has its place")
    func large() {
        let told = Mutex<[String]>([])
        let log = RefusalLog(
            now: { MonotonicTime(nanoseconds: 1) },
            report: { line in told.withLock { $0.append(line.refusal.reason) } })
        let limits = HTTPLimits(maxAnswerBytes: 20_000, refusals: log)
        #expect(answer(bytes: 16_383, limits)?.heldBytes == 0)
        #expect(answer(.HEAD, bytes: 16_384, limits)?.heldBytes == 0)
        let first = answer(bytes: 16_384, limits)
        #expect(first?.heldBytes == 16_384 && first?.head.status == .ok)

        let second = answer(bytes: 16_384, limits)
        #expect(second?.head.status == .serviceUnavailable && second?.heldBytes == 0)
        #expect(second?.head.headers["retry-after"] == ["1"])
        #expect(second?.body == ByteBuffer(string: "too much of earlier answers was not read yet\n"))
        #expect(limits.unreadAnswers == 1 && told.withLock { $0 } == ["unread"])
        #expect(answer(bytes: 16_383, limits)?.head.status == .ok)

        limits.releaseAnswer(16_384)
        #expect(answer(bytes: 1 << 20, limits)?.heldBytes == 1 << 20)
        #expect(limits.unreadAnswers == 1)
    }

    @Test("The end of an answer, and with it the next request, waits until the client has read")
    func unread() {
        let stage = HTTP1Stage()
        stage.answeredRequest()
        #expect(stage.nextStep(isWritable: false) == .wait)
        #expect(stage.nextStep(isWritable: false) == .wait)
        #expect(stage.nextStep(isWritable: true) == .proceed)
        #expect(stage.nextStep(isWritable: true) == .nothing)
        #expect(stage.head() == "nothing")
        #expect(stage.end() == "respond to 0")
    }

    @Test("A request is answered once")
    func once() {
        let stage = HTTP1Stage()
        stage.answeredRequest()
        #expect(stage.answered() == "nothing")
        #expect(stage.nextStep() == .proceed)
        #expect(stage.answered() == "nothing")
    }

    // MARK: The end

    @Test("A client that shuts its side while it is being answered gets the answer, as the last one")
    func shutWhileAnswering() {
        let stage = HTTP1Stage()
        _ = stage.head()
        _ = stage.end()
        #expect(stage.inputClosed() == "nothing")
        #expect(stage.answered() == "answer 200 close")
        #expect(stage.nextStep() == .close)
    }

    @Test("One that shuts its side before it has read the answer gets the rest of it")
    func shutWhileUnread() {
        let stage = HTTP1Stage()
        stage.answeredRequest()
        #expect(stage.nextStep(isWritable: false) == .wait)
        #expect(stage.inputClosed() == "nothing")
        #expect(stage.nextStep(isWritable: false) == .wait)
        #expect(stage.nextStep() == .close)
    }

    @Test("One that shuts its side where nothing is due is left once all is written, and once only")
    func shutWhileIdle() {
        let idle = HTTP1Stage()
        let discarding = HTTP1Stage()
        _ = discarding.head(.POST, "/no")
        let lingering = HTTP1Stage()
        _ = lingering.head(.POST, "/no", ["Expect": "100-continue"])
        for stage in [idle, discarding, lingering] {
            #expect(stage.inputClosed() == "close")
            #expect(stage.inputClosed() == "nothing")
            #expect(stage.answered() == "nothing")
        }
    }

    @Test("What is no HTTP is counted, and ends the connection")
    func noHTTP() {
        let stage = HTTP1Stage()
        #expect(stage.parserFailed() == "answer 400 close and end")
        #expect(stage.limits.protocolErrors == 1)
        #expect(stage.inputClosed() == "nothing")
    }

    @Test("An answer to a connection that is closed goes nowhere")
    func closed() {
        let stage = HTTP1Stage()
        _ = stage.head()
        _ = stage.end()
        stage.closed()
        #expect(stage.answered() == "nothing")
        #expect(stage.nextStep() == .nothing)
    }
}
