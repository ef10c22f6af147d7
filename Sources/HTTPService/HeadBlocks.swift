import NIOCore

/// Bounds the incomplete frames that the handler of HTTP/2 collects. It stands before that handler.
///
/// - A frame that begins in one read and ends in another is given to the handler apart from those before it: the handler's buffer
///   starts anew only where a frame ends with what it was given, and would else grow with all that comes over the connection.
/// - The bytes of a header block that is not complete are held of the connection's share.
final class HeadBlocks: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let share: ConnectionShare
    private var boundaries = FrameBoundaries()
    private var heldBytes = 0
    private var isFrameComplete = false

    init(_ share: ConnectionShare) {
        self.share = share
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let count = bytes.readableBytes
        isFrameComplete = false
        let end = bytes.withUnsafeReadableBytes { boundaries.lastEnd(in: $0) }
        if end > 0 && end < count, let whole = bytes.readSlice(length: end) {
            context.fireChannelRead(wrapInboundOut(whole))
        }
        context.fireChannelRead(wrapInboundOut(bytes))
        if isFrameComplete {
            share.releaseHead(heldBytes)
            heldBytes = 0
        } else if share.holdHead(count) {
            heldBytes += count
        } else {
            share.limits.recordRefusedHead(from: context.remoteAddress)
            context.close(promise: nil)
        }
    }

    /// Records that a frame came out of the bytes: the rest is less than a read.
    func frameArrived() {
        isFrameComplete = true
    }
}
