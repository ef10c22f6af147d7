import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPService

@Suite("telling HTTP/2 from HTTP/1.1")
struct ProtocolSwitchTests {
    private func spoken(_ text: String) -> WireProtocol? { WireProtocol(firstBytes: Array(text.utf8)) }

    @Test("the whole preface is HTTP/2, whatever follows")
    func preface() {
        #expect(spoken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .http2)
        #expect(spoken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0") == .http2)
    }

    @Test("a part of the preface decides nothing")
    func partOfThePreface() {
        for length in 0..<WireProtocol.preface.count {
            #expect(WireProtocol(firstBytes: WireProtocol.preface[..<length]) == nil)
        }
    }

    @Test("the first byte that is not the preface's decides for HTTP/1.1")
    func others() {
        let others = ["G", "POST / HTTP/1.1\r\n", "PR ", "PRI * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "\0"]
        for text in others + ["\u{16}\u{3}"] {
            #expect(spoken(text) == .http1, "\(text)")
        }
        for at in WireProtocol.preface.indices {
            var bytes = WireProtocol.preface
            bytes[at] ^= 1
            #expect(WireProtocol(firstBytes: bytes[...at]) == .http1)
        }
    }
}

@Suite("A connection of either protocol")
struct ProtocolSwitchHandlerTests {
    private final class Wire {
        let channel = EmbeddedChannel()

        init() throws {
            try HTTPServer.addHandlers(
                to: channel.pipeline.syncOperations, http2: true, LengthResponder(), HTTPLimits())
            channel.pipeline.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }

        deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

        func send(_ bytes: some Sequence<UInt8>) throws { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
        var isOpen: Bool { channel.isActive }

        func sent() throws -> [UInt8] {
            var all: [UInt8] = []
            while case .byteBuffer(let bytes)? = try channel.readOutbound(as: IOData.self) {
                all += bytes.readableBytesView
            }
            return all
        }
    }

    @Test("The bytes that decide are the first of the protocol's own, in one packet or one by one")
    func replayed() throws {
        let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        let request = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na".utf8)
        for (input, isHTTP2) in [(WireProtocol.preface + settings, true), (request, false)] {
            for isWhole in [true, false] {
                let wire = try Wire()
                if isWhole { try wire.send(input) } else { for byte in input { try wire.send([byte]) } }
                let sent = try wire.sent()
                // SETTINGS are frames of type 4.
                #expect(isHTTP2 ? sent.dropFirst(3).first == 4 : sent.starts(with: Array("HTTP/1.1 200".utf8)))
                #expect(wire.isOpen)
            }
        }
    }

    @Test("A connection that says nothing, or too little to tell, is closed after the idle timeout")
    func idle() throws {
        for bytes in [0, 5] {
            let wire = try Wire()
            try wire.send(WireProtocol.preface.prefix(bytes))
            wire.channel.embeddedEventLoop.advanceTime(by: .seconds(119))
            #expect(wire.isOpen)
            wire.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(!wire.isOpen)
            #expect(try wire.sent() == [])
        }
    }

    @Test("Before a request has begun the connection ends at once where it is to end or its client shuts its side")
    func ended() throws {
        for event in [ChannelShouldQuiesceEvent(), ChannelEvent.inputClosed] as [any Sendable] {
            let wire = try Wire()
            try wire.send(WireProtocol.preface.prefix(5))
            wire.channel.pipeline.fireUserInboundEventTriggered(event)
            #expect(!wire.isOpen)
        }
    }

    @Test("A connection that is decided is not ended by the timeout of the first bytes")
    func decided() throws {
        let wire = try Wire()
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        try wire.send(Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".utf8))
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(61))
        #expect(wire.isOpen)
    }
}
