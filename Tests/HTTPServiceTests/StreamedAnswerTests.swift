import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPService

@Suite("A body that is made while the client reads it")
struct StreamedAnswerTests {
    private func streamed(
        _ stage: HTTP1Stage, _ letters: Letters = Letters(), _ method: HTTPMethod = .GET,
        version: HTTPVersion = .http1_1
    ) -> String {
        _ = stage.head(method, version: version)
        _ = stage.end()
        var response = HTTPResponse(.ok)
        response.stream = letters
        return stage.answered(response)
    }

    @Test("is asked for piece by piece, and its end comes behind the last one")
    func pieces() {
        let stage = HTTP1Stage()
        #expect(streamed(stage) == "answer 200")
        #expect(stage.answer?.head.headers["content-length"] == [])
        #expect(stage.nextStep() == .nothing)
        let letters = ["a", "b", "c", "d", "e"].map { "1\r\n\($0)\r\n" }
        #expect((0..<7).map { _ in stage.nextPiece() } == letters + ["0\r\n\r\n", nil])
        #expect(stage.nextStep() == .proceed)
    }

    @Test("ends with the connection for a client that knows no chunks")
    func oldVersion() {
        let stage = HTTP1Stage()
        #expect(streamed(stage, version: .http1_0) == "answer 200 close")
        #expect(stage.answer?.head.headers["transfer-encoding"] == [])
        #expect((0..<7).map { _ in stage.nextPiece() } == ["a", "b", "c", "d", "e", "", nil])
        #expect(stage.nextStep() == .close)
    }

    @Test("skips an empty piece, which would be the end for the client")
    func emptyPiece() {
        var written = 0
        StreamPiece(bytes: ByteBuffer(), isChunked: true).write { _ in written += 1 }
        #expect(written == 0)
    }

    @Test("is not made for HEAD, which closes the connection: the length is not known")
    func headOnly() {
        let stage = HTTP1Stage()
        let letters = Letters()
        #expect(streamed(stage, letters, .HEAD) == "answer 200 close")
        #expect(stage.nextPiece() == nil && letters.left == 5)
        #expect(stage.nextStep() == .close)
        #expect(stage.limits.heldAnswerBytes == 0)
    }

    @Test("holds what it takes in memory until its end, or that of the connection")
    func held() {
        for endsEarly in [false, true] {
            let stage = HTTP1Stage()
            _ = streamed(stage)
            _ = stage.nextPiece()
            #expect(stage.limits.heldAnswerBytes == 100 << 10)
            if endsEarly { stage.closed() } else { while stage.nextPiece() != nil {} }
            #expect(stage.limits.heldAnswerBytes == 0)
        }
    }

    @Test("goes to the end after the client has shut its side, and then the connection ends")
    func halfClosed() {
        let stage = HTTP1Stage()
        _ = streamed(stage)
        #expect(stage.inputClosed() == "nothing")
        while stage.nextPiece() != nil {}
        #expect(stage.nextStep() == .close)
    }

    /// A connection whose client reads when the test says so.
    private func connection(
        _ limits: HTTPLimits, isWritable: Bool = true, fields: String = ""
    ) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try HTTPServer.addHandlers(to: channel.pipeline.syncOperations, http2: false, LengthResponder(), limits)
        channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        channel.isWritable = isWritable
        try channel.writeInbound(ByteBuffer(string: "GET /stream HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"))
        return channel
    }

    private func sent(_ channel: EmbeddedChannel) throws -> String {
        var text = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }

    @Test("goes out in chunks, one in each turn of the event loop")
    func chunks() throws {
        let channel = try connection(HTTPLimits())
        let first = try sent(channel)
        #expect(first.lowercased().contains("transfer-encoding: chunked") && first.hasSuffix("\r\n\r\n1\r\na\r\n"))
        channel.embeddedEventLoop.run()
        #expect(try sent(channel) == "1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n1\r\ne\r\n0\r\n\r\n")
        #expect(channel.isActive)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("ends with its last chunk where the connection ends, too: what is cut off is seen")
    func lastAnswer() throws {
        let channel = try connection(HTTPLimits(), fields: "Connection: close\r\n")
        channel.embeddedEventLoop.run()
        #expect(try sent(channel).hasSuffix("1\r\ne\r\n0\r\n\r\n"))
        #expect(!channel.isActive)
    }

    @Test("waits for a client that does not read")
    func slow() throws {
        let channel = try connection(HTTPLimits(), isWritable: false)
        channel.embeddedEventLoop.run()
        #expect(try !sent(channel).contains("a\r\n"))
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        channel.embeddedEventLoop.run()
        #expect(try sent(channel).hasSuffix("1\r\ne\r\n0\r\n\r\n"))
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("where there is no space for another reader, the one that has not read for longest is cut off, and counted")
    func stalest() throws {
        let limits = HTTPLimits(maxAnswerBytes: 250 << 10)
        let channels = [EmbeddedChannel(), EmbeddedChannel()]
        for channel in channels {
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }
        #expect(limits.holdAnswer(100 << 10) && limits.holdAnswer(100 << 10))
        limits.streams.recordPiece(channels[0], at: .now() - .seconds(5))
        limits.streams.recordPiece(channels[1], at: .now())
        // What it held is returned where its connection is: here, by no one.
        #expect(!limits.holdAnswer(100 << 10))
        #expect(!channels[0].isActive && channels[1].isActive)
        #expect(limits.unreadAnswers == 1)
        #expect(!limits.streams.closeStalest(at: .now()), "the other one is reading")
        _ = try channels[1].finish(acceptAlreadyClosed: true)
    }
}
