import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import Testing

@testable import HTTPService

/// The connection between frames, as swift-nio-http2 hands them over, and the clock of an embedded event loop.
private final class Wire {
    static let idleTimeout = TimeAmount.seconds(120)
    let channel = EmbeddedChannel()

    let responder = LengthResponder()

    init() throws {
        let share = HTTPLimits().share()
        try channel.pipeline.syncOperations.addHandler(
            HTTP2Connection(
                responder, share, idleTimeout: Self.idleTimeout, violation: HTTP2Violation(), blocks: HeadBlocks(share))
        )
        channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    }

    func headers(_ id: HTTP2StreamID, path: String = "/", _ more: HTTPHeaders = [:], end: Bool = false) throws {
        var fields: HPACKHeaders = [":method": "POST", ":path": path, ":scheme": "http"]
        for (name, value) in more { fields.add(name: name, value: value) }
        try channel.writeInbound(HTTP2Frame(streamID: id, payload: .headers(.init(headers: fields, endStream: end))))
    }

    func data(_ id: HTTP2StreamID, _ count: Int, end: Bool = false) throws {
        let bytes = ByteBuffer(repeating: 0, count: count)
        try channel.writeInbound(
            HTTP2Frame(streamID: id, payload: .data(.init(data: .byteBuffer(bytes), endStream: end))))
    }

    func closed(_ id: HTTP2StreamID) {
        channel.pipeline.fireUserInboundEventTriggered(StreamClosedEvent(streamID: id, reason: nil))
    }

    /// What was sent since the last call, one word a frame.
    func sent() throws -> [String] {
        var words: [String] = []
        while let frame = try channel.readOutbound(as: HTTP2Frame.self) {
            let id = Int(frame.streamID)
            switch frame.payload {
            case .headers(let content):
                let status = content.headers.first(name: ":status") ?? content.headers.first(name: "grpc-status") ?? ""
                words.append("\(id) headers \(status)\(content.endStream ? " end" : "")")
            case .data(let content):
                words.append("\(id) data \(content.data.readableBytes)\(content.endStream ? " end" : "")")
            case .rstStream(let code): words.append("\(id) reset \(code == .noError ? "no error" : "\(code)")")
            case .goAway(let last, _, _): words.append("goaway \(Int(last))")
            case .ping(_, let ack): words.append(ack ? "pong" : "ping")
            case .windowUpdate(let increment): words.append("\(id) window \(increment)")
            default: words.append("\(frame.payload)")
            }
        }
        return words
    }

    func isOpen() -> Bool { channel.isActive }

    /// A frame as it comes off the socket, while more of the same read is still to come.
    func read(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) {
        channel.pipeline.fireChannelRead(HTTP2Frame(streamID: id, payload: payload))
    }
}

/// A socket that takes no bytes until a test says so.
private final class FullSocket: ChannelOutboundHandler {
    typealias OutboundIn = Any
    private var held: [(NIOAny, EventLoopPromise<Void>?)] = []
    var isFull = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isFull { held.append((data, promise)) } else { context.write(data, promise: promise) }
    }

    func drain(_ channel: EmbeddedChannel) throws {
        isFull = false
        let context = try channel.pipeline.syncOperations.context(handler: self)
        for (data, promise) in held { context.writeAndFlush(data, promise: promise) }
        held = []
    }
}

/// Keeps the codes of the faults that are told towards the socket.
private final class Faults: ChannelOutboundHandler {
    typealias OutboundIn = Any
    private(set) var codes: [HTTP2ErrorCode] = []

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        if let fault = event as? HTTP2StreamFault { codes.append(fault.code) }
        promise?.succeed()
    }
}

@Suite("an HTTP/2 connection")
struct HTTP2ConnectionTests {
    @Test("answers a body in parts, with trailers last")
    func answer() throws {
        let wire = try Wire()
        try wire.headers(1)
        try wire.data(1, 5)
        try wire.data(1, 0)
        #expect(try wire.sent() == [])
        try wire.data(1, 7, end: true)
        #expect(try wire.sent() == ["1 headers 200", "1 data 2", "1 headers 0 end"])
    }

    @Test("answers later where the responder takes its time, and 500 where it fails")
    func later() throws {
        let wire = try Wire()
        for id in [1, 3, 5] as [HTTP2StreamID] { try wire.headers(id, path: "/later", end: true) }
        #expect(try wire.sent() == [])
        let asked = wire.responder.asked.later
        asked[1].succeed(HTTPResponse(.noContent))
        #expect(try wire.sent() == ["3 headers 204 end"], "an answer without a body is its head")
        asked[0].fail(ChannelError.eof)
        asked[2].succeed(.text(.ok, "yes"))
        #expect(try wire.sent() == ["1 headers 500", "1 data 15 end", "5 headers 200", "5 data 4 end"])
    }

    @Test("answers streams that come mixed, each by itself")
    func interleaved() throws {
        let wire = try Wire()
        try wire.headers(1)
        try wire.headers(3)
        try wire.data(1, 100)
        try wire.data(3, 1, end: true)
        try wire.data(1, 1, end: true)
        #expect(try wire.sent().filter { $0.contains("data") } == ["3 data 1", "1 data 3"])
    }

    @Test("refuses by the head at once, and drops the body")
    func refusedHead() throws {
        let wire = try Wire()
        try wire.headers(1, path: "/no")
        #expect(try wire.sent() == ["1 headers 404", "1 data 3 end"])
        try wire.data(1, 1000)
        try wire.data(1, 1000, end: true)
        #expect(try wire.sent() == [])
    }

    @Test("refuses what is announced or comes as too large, and stops a client that goes on sending")
    func tooLarge() throws {
        let wire = try Wire()
        try wire.headers(1, ["content-length": "1001"])
        #expect(try wire.sent().first == "1 headers 413")
        try wire.headers(3)
        try wire.data(3, 1000)
        #expect(try wire.sent() == [])
        try wire.data(3, 1)
        #expect(try wire.sent().first == "3 headers 413")
        for _ in 0..<5 { try wire.data(3, 1 << 20) }
        #expect(try wire.sent() == ["3 reset no error"])
    }

    @Test("tells a client that asks to go on")
    func expectContinue() throws {
        let wire = try Wire()
        try wire.headers(1, ["expect": "100-continue"])
        #expect(try wire.sent() == ["1 headers 100"])
    }

    @Test("resets a stream that stalls, and goes on with one that moves")
    func stalled() throws {
        let wire = try Wire()
        try wire.headers(1)
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(61))
        try wire.headers(3)
        try wire.data(3, 1)
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        #expect(try wire.sent().map { $0.prefix(7) } == ["1 reset"])
        wire.closed(1)
        try wire.data(3, 1, end: true)
        #expect(try wire.sent() == ["3 headers 200", "3 data 1", "3 headers 0 end"])
        #expect(wire.isOpen())
    }

    @Test("resets a stream that drips on, also one whose answer has been sent")
    func drips() throws {
        let wire = try Wire()
        try wire.headers(1)
        try wire.headers(3, path: "/no")
        var sent: [String] = []
        for _ in 0..<6 {
            try wire.data(1, 1)
            try wire.data(3, 1)
            wire.channel.embeddedEventLoop.advanceTime(by: .seconds(20))
            sent += try wire.sent().map { String($0.prefix(7)) }
        }
        #expect(sent.contains("1 reset") && sent.contains("3 reset"))
    }

    @Test("without a request ends after the idle timeout")
    func idle() throws {
        let wire = try Wire()
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(119))
        #expect(try wire.sent() == [])
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(try wire.sent() == ["goaway 0", "ping"])
        wire.channel.embeddedEventLoop.advanceTime(by: HTTP2Limits.echoTimeout)
        #expect(try wire.sent() == ["goaway 0"])
        #expect(!wire.isOpen())
    }

    @Test("that is to end answers what has begun, and closes after the last answer and the echo")
    func quiesced() throws {
        let wire = try Wire()
        try wire.headers(1)
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(try wire.sent() == ["goaway 1", "ping"])
        let echo = HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2Limits.endingPing, ack: true))
        try wire.channel.writeInbound(echo)
        #expect(wire.isOpen())
        try wire.data(1, 5, end: true)
        #expect(try wire.sent() == ["1 headers 200", "1 data 1", "1 headers 0 end"])
        #expect(wire.isOpen())
        wire.closed(1)
        #expect(try wire.sent() == ["goaway 1"])
        #expect(!wire.isOpen())
    }

    @Test("whose client has shut its side closes after the answers that are due")
    func inputClosed() throws {
        let wire = try Wire()
        try wire.headers(1, end: true)
        try wire.headers(3)
        _ = try wire.sent()
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try wire.sent().map { $0.prefix(7) } == ["3 reset"])
        wire.closed(3)
        #expect(wire.isOpen())
        wire.closed(1)
        #expect(!wire.isOpen())
    }

    @Test("hands back windows once half of them is used")
    func windows() throws {
        let wire = try Wire()
        try wire.headers(1)
        func left(_ id: HTTP2StreamID, _ bytes: Int) throws -> [String] {
            let event = NIOHTTP2WindowUpdatedEvent(streamID: id, inboundWindowSize: bytes, outboundWindowSize: nil)
            wire.channel.pipeline.fireUserInboundEventTriggered(event)
            return try wire.sent()
        }
        #expect(try left(1, HTTP2Limits.streamWindowBytes / 2) == [])
        #expect(try left(1, 1000) == ["1 window \(HTTP2Limits.streamWindowBytes - 1000)"])
        #expect(try left(.rootStream, 0) == ["0 window \(HTTP2Limits.connectionWindowBytes)"])
        #expect(try left(5, 0) == [])
    }

    @Test("sends what one read leads to together, at its end; an answer that comes later is sent at once")
    func flushes() throws {
        let wire = try Wire()
        for id in [1, 3] as [HTTP2StreamID] {
            wire.read(
                id, .headers(.init(headers: [":method": "GET", ":path": "/no", ":scheme": "http"], endStream: true)))
            #expect(try wire.sent() == [])
        }
        wire.channel.pipeline.fireChannelReadComplete()
        #expect(try wire.sent() == ["1 headers 404", "1 data 3 end", "3 headers 404", "3 data 3 end"])
        try wire.headers(5, path: "/later", end: true)
        wire.responder.asked.later[0].succeed(HTTPResponse(.noContent))
        #expect(try wire.sent() == ["5 headers 204 end"])
    }

    @Test(
        "that ends stays open until its last GOAWAY is on the wire, or the client has had its time to read",
        arguments: [true, false])
    func fullSocket(isRead: Bool) throws {
        let wire = try Wire()
        let socket = FullSocket()
        try wire.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        wire.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(try wire.sent() == ["goaway 0", "ping"])
        socket.isFull = true
        wire.channel.embeddedEventLoop.advanceTime(by: HTTP2Limits.echoTimeout)
        #expect(wire.isOpen())
        wire.channel.embeddedEventLoop.advanceTime(by: HTTP2Limits.lingerTimeout - .milliseconds(1))
        #expect(try wire.isOpen() && wire.sent() == [])
        if isRead {
            try socket.drain(wire.channel)
            #expect(try wire.sent() == ["goaway 0"])
        } else {
            wire.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        }
        #expect(!wire.isOpen())
    }

    @Test("whose client is silent is not asked again after it has closed")
    func closedByClient() throws {
        let wire = try Wire()
        try wire.headers(1)
        wire.channel.pipeline.fireChannelInactive()
        wire.channel.embeddedEventLoop.advanceTime(by: Wire.idleTimeout + Wire.idleTimeout)
        #expect(try wire.sent() == [])
    }

    @Test("passes over frames that mean nothing to it")
    func otherFrames() throws {
        let wire = try Wire()
        try wire.headers(1)
        for payload in [
            .ping(HTTP2PingData(withInteger: 1), ack: true), .ping(HTTP2Limits.endingPing, ack: false), .settings(.ack),
        ]
            as [HTTP2Frame.FramePayload]
        {
            try wire.channel.writeInbound(HTTP2Frame(streamID: .rootStream, payload: payload))
        }
        #expect(try wire.isOpen() && wire.sent() == [])
        try wire.data(1, 3, end: true)
        #expect(try wire.sent() == ["1 headers 200", "1 data 1", "1 headers 0 end"])
    }

    @Test("tells below it what broke the protocol, before the connection ends")
    func fault() throws {
        let wire = try Wire()
        let faults = Faults()
        try wire.channel.pipeline.syncOperations.addHandler(faults, position: .first)
        wire.channel.pipeline.fireErrorCaught(NIOHTTP2Errors.noSuchStream(streamID: 1))
        #expect(faults.codes == [.protocolError])
    }
}
