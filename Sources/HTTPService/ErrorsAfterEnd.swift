import NIOCore

/// Drops the error of a request that is cut off because the program ends. Stands before NIO's handler of pipelined requests, which
/// has closed the connection then, and stops the program where a handler behind it answers the error all the same.
final class ErrorsAfterEnd: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private var isQuiescing = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { isQuiescing = true }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isQuiescing && !context.channel.isActive { return }
        context.fireErrorCaught(error)
    }
}
