import NIOCore
import NIOHTTP2

/// Sees what the handler of HTTP/2 answers where a client breaks the protocol. It stands between that handler and the socket, and is
/// told of its frames before their bytes come.
///
/// - It tells whether the handler has ended the connection: that says so by a GOAWAY frame with an error, and leaves the closing to
///   its user. Its errors alone don't tell, because those of single streams look the same.
/// - HEADERS on a stream whose client has ended it have to be STREAM_CLOSED (RFC 9113, 5.1), where the handler writes PROTOCOL_ERROR.
///   It tells the reason after the frame, so that a RST_STREAM with that code waits here for `HTTP2StreamFault`.
final class HTTP2Violation: ChannelOutboundHandler, NIOHTTP2FrameDelegate {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Bytes of a frame before its payload, which is the code (RFC 9113, 4.1 and 6.4).
    private static let headerBytes = 9

    private enum Reset {
        case none
        /// The next bytes are the frame.
        case announced
        case held(ByteBuffer, EventLoopPromise<Void>?)
    }

    private(set) var isAnswered = false
    private var reset = Reset.none

    func wroteFrame(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .goAway(_, let code, _) where code != .noError: isAnswered = true
        case .rstStream(.protocolError): reset = .announced
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .announced = reset, case .byteBuffer(let frame) = unwrapOutboundIn(data) {
            reset = .held(frame, promise)
            return
        }
        release(context)
        context.write(data, promise: promise)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let fault = event as? HTTP2StreamFault else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        release(context, fault.code)
        context.flush()
        promise?.succeed()
    }

    private func release(_ context: ChannelHandlerContext, _ code: HTTP2ErrorCode = .protocolError) {
        guard case .held(var frame, let promise) = reset else { return }
        reset = .none
        frame.setInteger(UInt32(code.networkCode), at: frame.readerIndex + Self.headerBytes)
        context.write(wrapOutboundOut(.byteBuffer(frame)), promise: promise)
    }
}

/// Why the handler of HTTP/2 has reset a stream.
struct HTTP2StreamFault {
    let code: HTTP2ErrorCode

    init(_ error: any Error) {
        let state = (error as? NIOHTTP2Errors.BadStreamStateTransition)?.fromState
        code =
            switch state {
            case .halfClosedRemoteLocalIdle, .halfClosedRemoteLocalActive: .streamClosed
            default: .protocolError
            }
    }
}
