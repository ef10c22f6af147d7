import NIOCore
import NIOEmbedded
import NIOHTTP2
import Testing

@testable import HTTPService

@Suite("What a client of HTTP/2 is told that breaks the protocol")
struct HTTP2ViolationTests {
    private let channel = EmbeddedChannel()
    private let violation = HTTP2Violation()
    /// RST_STREAM on stream 1 with PROTOCOL_ERROR.
    private let reset = ByteBuffer(bytes: [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 1])

    init() throws {
        try channel.pipeline.syncOperations.addHandler(violation)
    }

    private func write(_ frame: HTTP2Frame.FramePayload, _ bytes: ByteBuffer) {
        violation.wroteFrame(HTTP2Frame(streamID: 1, payload: frame))
        channel.writeAndFlush(IOData.byteBuffer(bytes), promise: nil)
    }

    private func sent() throws -> [[UInt8]] {
        var all: [[UInt8]] = []
        while case .byteBuffer(let bytes)? = try channel.readOutbound(as: IOData.self) {
            all.append(Array(bytes.readableBytesView))
        }
        return all
    }

    private func tell(_ event: any Sendable) { channel.triggerUserOutboundEvent(event, promise: nil) }

    @Test("Only a GOAWAY with an error ends the connection")
    func answered() {
        violation.wroteFrame(
            HTTP2Frame(streamID: .rootStream, payload: .goAway(lastStreamID: 1, errorCode: .noError, opaqueData: nil)))
        violation.wroteFrame(HTTP2Frame(streamID: 1, payload: .rstStream(.protocolError)))
        #expect(!violation.isAnswered)
        violation.wroteFrame(
            HTTP2Frame(
                streamID: .rootStream, payload: .goAway(lastStreamID: 1, errorCode: .protocolError, opaqueData: nil)))
        #expect(violation.isAnswered)
    }

    @Test("A reset waits for its reason, which is STREAM_CLOSED for a stream that its client has ended, and no other")
    func reasons() throws {
        let closed = NIOHTTP2Errors.badStreamStateTransition(from: .halfClosedRemoteLocalActive)
        let idle = NIOHTTP2Errors.badStreamStateTransition(from: .idle)
        for (error, code) in [(closed, 5), (idle, 1), (NIOHTTP2Errors.noSuchStream(streamID: 1), 1)]
            as [(any Error, UInt8)]
        {
            write(.rstStream(.protocolError), reset)
            #expect(try sent().isEmpty)
            tell(HTTP2StreamFault(error))
            #expect(try sent() == [Array(reset.readableBytesView).dropLast() + [code]])
        }
        tell(HTTP2StreamFault(closed))
        #expect(try sent().isEmpty, "nothing is held")
    }

    @Test("What comes behind a reset goes after it; other resets and other bytes do not wait")
    func others() throws {
        write(.rstStream(.protocolError), reset)
        write(.ping(HTTP2PingData(withInteger: 1), ack: true), ByteBuffer(bytes: [9]))
        #expect(try sent() == [Array(reset.readableBytesView), [9]])
        write(.rstStream(.cancel), reset)
        #expect(try sent().count == 1)
        tell("something else")
        #expect(try sent().isEmpty)
    }
}
