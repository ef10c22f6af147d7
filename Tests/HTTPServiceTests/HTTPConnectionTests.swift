import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPService

/// A connection of HTTP/1.1 from its bytes to its bytes, without a socket, and with the clock of an embedded event loop.
private final class Wire {
    let responder = LengthResponder()
    let limits: HTTPLimits
    let channel = EmbeddedChannel()

    init(_ limits: HTTPLimits = HTTPLimits()) throws {
        self.limits = limits
        try HTTPServer.addHandlers(to: channel.pipeline.syncOperations, http2: false, responder, limits)
        channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    /// Statuses and bodies that were sent since the last call. A body is cut off where the next answer begins.
    func sent() throws -> [String] {
        var text = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text.split(separator: "HTTP/1.1 ").map { answer in
            let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            return "\(answer.prefix(3)) \(parts.last.map { $0.filter { $0 != "\n" }.prefix(12) } ?? "")"
        }
    }

    func wait(_ time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }
    var isOpen: Bool { channel.isActive }

    func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }

    func shutInput() { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    static func request(_ path: String = "/", _ body: String = "", fields: String = "") -> String {
        "POST \(path) HTTP/1.1\r\nHost: a\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
}

/// A socket that takes everything at once: it says that it is writable again from within a write or a flush.
private final class EagerSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    private let duringWrites: Bool

    init(duringWrites: Bool) {
        self.duringWrites = duringWrites
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(data, promise: promise)
        if duringWrites { context.fireChannelWritabilityChanged() }
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        guard !duringWrites, let channel = context.channel as? EmbeddedChannel, !channel.isWritable else { return }
        channel.isWritable = true
        context.fireChannelWritabilityChanged()
    }
}

/// A socket that counts how often it is asked to read.
private final class CountingSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    private(set) var reads = 0

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
}

@Suite("An HTTP/1.1 connection")
struct HTTPConnectionTests {
    @Test("answers requests in one packet in their order")
    func pipelined() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/", "a") + Wire.request("/no", "bb") + Wire.request("/", "ccc"))
        #expect(try wire.sent() == ["200 1", "404 no", "200 3"])
        #expect(wire.isOpen)
    }

    @Test("answers ten thousand requests in one packet without a call within a call for each")
    func manyPipelined() throws {
        let wire = try Wire()
        try wire.send(String(repeating: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", count: 10_000))
        #expect(try wire.sent().count == 10_000)
    }

    @Test("asks about the next request once the answer before it is written")
    func later() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/later", "a") + Wire.request("/", "bb"))
        #expect(try wire.sent() == [])
        #expect(wire.responder.asked.heads == 1)
        wire.responder.asked.later[0].succeed(.text(.ok, "done"))
        #expect(try wire.sent() == ["200 done", "200 2"])
    }

    @Test("answers 500 where the responder fails")
    func failed() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/later"))
        wire.responder.asked.later[0].fail(ChannelError.eof)
        #expect(try wire.sent() == ["500 internal err"])
    }

    @Test("does not look at the next request before the client has read the answer")
    func unread() throws {
        let wire = try Wire()
        wire.setWritable(false)
        try wire.send(Wire.request("/", "a") + Wire.request("/", "bb"))
        #expect(try wire.sent() == ["200 1"])
        #expect(wire.responder.asked.heads == 1)
        wire.setWritable(true)
        #expect(try wire.sent() == ["200 2"])
    }

    @Test("tells a client that asks to go on, before its body comes")
    func expectContinue() throws {
        let wire = try Wire()
        try wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        #expect(try wire.sent() == ["100 "])
        try wire.send("ab")
        #expect(try wire.sent() == ["200 2"])
    }

    @Test("whose client goes on sending after a refusal lets it read the answer for two seconds")
    func lingers() throws {
        let wire = try Wire()
        try wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        #expect(try wire.sent() == ["413 tooLarge"])
        for _ in 0..<19 {
            wire.wait(.milliseconds(100))
            try wire.send("more of it")
            #expect(wire.isOpen)
        }
        wire.wait(.milliseconds(100))
        #expect(!wire.isOpen)
        #expect(try wire.sent() == [])
    }

    @Test("ends at once where the refused body has come to its end")
    func lingeringEnds() throws {
        let wire = try Wire()
        try wire.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        #expect(try wire.sent() == ["404 no"])
        #expect(wire.isOpen)
        try wire.send("abc")
        #expect(!wire.isOpen)
    }

    @Test("ends with an answer that says so, and drops what follows")
    func lastAnswer() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/later", "a", fields: "Connection: close\r\n") + Wire.request())
        #expect(wire.isOpen)
        wire.responder.asked.later[0].succeed(.text(.ok, "done"))
        #expect(try wire.sent() == ["200 done"])
        #expect(!wire.isOpen)
        #expect(wire.responder.asked.heads == 1)
    }

    @Test("whose client has shut its side closes after the answers that are due")
    func shutInput() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/later") + Wire.request("/", "bb"))
        wire.shutInput()
        #expect(wire.isOpen)
        wire.responder.asked.later[0].succeed(.text(.ok, "done"))
        #expect(try wire.sent() == ["200 done", "200 2"])
        #expect(!wire.isOpen)
    }

    @Test("whose client has shut its side without a request closes")
    func shutAtOnce() throws {
        let wire = try Wire()
        wire.shutInput()
        #expect(!wire.isOpen)
    }

    @Test("answers what is no HTTP by 400 behind the answers that are due, and counts it")
    func garbage() throws {
        let wire = try Wire()
        wire.setWritable(false)
        try wire.send(Wire.request("/large") + "garbage\r\n\r\n")
        #expect(try wire.sent().map { $0.prefix(3) } == ["200"])
        #expect(wire.limits.protocolErrors == 0)
        wire.setWritable(true)
        #expect(try wire.sent() == ["400 "])
        #expect(!wire.isOpen)
        #expect(wire.limits.protocolErrors == 1)
    }

    @Test("returns what a large answer holds once it is written")
    func largeAnswers() throws {
        let wire = try Wire(HTTPLimits(maxAnswerBytes: 1))
        for _ in 0..<3 {
            try wire.send(Wire.request("/large"))
            #expect(try wire.sent().map { $0.prefix(3) } == ["200"])
        }
        #expect(wire.limits.unreadAnswers == 0)
    }

    @Test("that ends with the program in the middle of a head is closed, without an answer")
    func quiescedInTheHead() throws {
        let wire = try Wire()
        try wire.send("P")
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(try wire.sent() == [] && !wire.isOpen && wire.limits.protocolErrors == 0)
    }

    @Test("that is closed in the middle of a body returns what it holds")
    func closedInTheBody() throws {
        let wire = try Wire()
        try wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        #expect(wire.limits.heldBodyBytes == 3)
        wire.channel.close(promise: nil)
        #expect(wire.limits.heldBodyBytes == 0)
    }

    @Test("whose request drips is closed after a minute, in the head as in the body")
    func drips() throws {
        for text in ["P", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"] {
            let wire = try Wire()
            try wire.send(text)
            wire.wait(.seconds(30))
            try wire.send(text == "P" ? "O" : "a")
            wire.wait(.seconds(29))
            #expect(wire.isOpen && wire.limits.slowRequests == 0)
            wire.wait(.seconds(1))
            #expect(!wire.isOpen && wire.limits.slowRequests == 1)
        }
    }

    @Test("has a minute for each of its requests")
    func quick() throws {
        let wire = try Wire()
        for _ in 0..<5 {
            try wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
            wire.wait(.seconds(50))
            try wire.send("a")
            #expect(try wire.sent() == ["200 1"])
        }
        #expect(wire.isOpen && wire.limits.slowRequests == 0)
    }

    @Test("without traffic is closed, and not counted as slow")
    func idle() throws {
        let wire = try Wire()
        wire.wait(.seconds(100))
        try wire.send(Wire.request())
        #expect(try wire.sent() == ["200 0"])
        wire.wait(.seconds(119))
        #expect(wire.isOpen)
        wire.wait(.seconds(1))
        #expect(!wire.isOpen && wire.limits.slowRequests == 0)
    }

    @Test("that is to end answers the request it is in")
    func quiesced() throws {
        let wire = try Wire()
        try wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(wire.isOpen)
        try wire.send("b" + Wire.request())
        #expect(try wire.sent() == ["200 2"])
        #expect(!wire.isOpen)
    }

    @Test("writes the body of an answer before its end, also where the channel becomes writable within a write")
    func writableWithinWrite() throws {
        let wire = try Wire()
        try wire.channel.pipeline.syncOperations.addHandler(EagerSocket(duringWrites: true), position: .first)
        try wire.send(Wire.request("/", "a") + Wire.request("/", "bb"))
        #expect(try wire.sent() == ["200 1", "200 2"])
        #expect(wire.isOpen)
    }

    @Test("ends an answer that waited for the channel, also where its own flush makes the channel writable")
    func writableWithinFlush() throws {
        let wire = try Wire()
        try wire.channel.pipeline.syncOperations.addHandler(EagerSocket(duringWrites: false), position: .first)
        wire.channel.isWritable = false
        try wire.send(Wire.request("/", "a"))
        try wire.send(Wire.request("/", "bb"))
        #expect(try wire.sent() == ["200 1", "200 2"], "the second is read only after the end of the first")
    }

    /// Asks the connection to read, as a channel does after each read, and returns whether the socket is asked.
    private func reads(_ wire: Wire, _ socket: CountingSocket) -> Bool {
        let before = socket.reads
        wire.channel.pipeline.read()
        return socket.reads > before
    }

    @Test("reads on while a request is answered, until the next one begins, and then again once that is answered")
    func readsAhead() throws {
        let wire = try Wire()
        let socket = CountingSocket()
        try wire.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        try wire.send(Wire.request("/later"))
        #expect(reads(wire, socket), "a client that waits for its answer costs no system call")
        for part in [String(Wire.request("/later").prefix(9)), String(Wire.request("/later").dropFirst(9))] {
            try wire.send(part)
            #expect(!reads(wire, socket))
        }
        let before = socket.reads
        wire.responder.asked.later[0].succeed(.text(.ok, "1"))
        #expect(socket.reads == before + 1, "what was held back is done, once")
        wire.responder.asked.later[1].succeed(.text(.ok, "2"))
        #expect(try wire.sent() == ["200 1", "200 2"])
        #expect(reads(wire, socket))
    }

    @Test("does not read from a client that does not read")
    func backPressure() throws {
        let wire = try Wire()
        let socket = CountingSocket()
        try wire.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        try wire.send(Wire.request())
        wire.setWritable(false)
        #expect(!reads(wire, socket))
        let before = socket.reads
        wire.setWritable(true)
        #expect(socket.reads == before + 1)
    }

    @Test("that ends with the program gives the answer that is due, says that it ends, and takes no other request")
    func quiescedWhileAnswering() throws {
        let wire = try Wire()
        try wire.send(Wire.request("/later") + Wire.request())
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(wire.isOpen)
        wire.responder.asked.later[0].succeed(.text(.ok, "done"))
        var text = ""
        while let bytes = try wire.channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        let fields = ["Content-Type: text/plain; charset=utf-8", "Content-Length: 5", "Connection: close"]
        #expect(text == (["HTTP/1.1 200 OK"] + fields + ["", "done\n"]).joined(separator: "\r\n"))
        #expect(!wire.isOpen && wire.responder.asked.heads == 1)
    }

    @Test(
        "holds memory for requests that wait, returns it as they are answered or dropped, and ends where there is none")
    func waitingMemory() throws {
        let wire = try Wire(HTTPLimits(maxBodyBytes: 0, streamBytes: 1 << 20))
        let before = wire.limits.heldStreamBytes
        for endsByAnswers in [true, false] {
            let wire = try Wire(wire.limits)
            try wire.send(Wire.request("/later") + String(repeating: Wire.request(), count: 100))
            #expect(wire.limits.heldStreamBytes - before > 50_000)
            if endsByAnswers {
                wire.responder.asked.later[0].succeed(.text(.ok, "1"))
                #expect(try wire.sent().count == 101 && wire.isOpen)
            } else {
                wire.channel.close(promise: nil)
            }
            #expect(wire.limits.heldStreamBytes == before)
        }
        try wire.send(Wire.request("/later") + String(repeating: Wire.request(), count: 2_000))
        #expect(!wire.isOpen && wire.limits.refusedHeads == 1 && wire.limits.heldStreamBytes == before)
        #expect(wire.responder.asked.heads == 1)
    }

    @Test("that ends after a refusal is counted and told once, whatever the client had still to send")
    func cutOffWhileLingering() throws {
        let wire = try Wire()
        try wire.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n")
        wire.wait(.seconds(2))
        #expect(!wire.isOpen && wire.limits.protocolErrors == 0)
    }

    @Test("closes one whose half request came behind another one after a minute")
    func halfBehind() throws {
        let wire = try Wire()
        try wire.send(Wire.request() + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        #expect(try wire.sent() == ["200 0"])
        wire.wait(.seconds(59))
        #expect(wire.isOpen)
        wire.wait(.seconds(1))
        #expect(!wire.isOpen && wire.limits.slowRequests == 1)
    }
}
