package import NIOCore
package import NIOHTTP1

/// Answers the requests of one listener. It is called on event loops, and must not block.
package protocol HTTPResponder: Sendable {
    /// Reads a request's head, once. The exchange has its content up to the end of the request.
    ///
    /// - Parameter arrival: The time when the head was read.
    func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict
}

/// The decision of a responder about a request's head.
package enum HTTPVerdict {
    /// The body is wanted.
    case receive(any HTTPExchange)
    /// The head alone leads to this answer (a wrong path, method or type, say). The body is dropped.
    case answer(HTTPResponse)
}

/// One request from its head to its answer, with what the responder has read in the head.
package protocol HTTPExchange: AnyObject, Sendable {
    /// The size above which bodies are refused without being kept.
    var maxBodyBytes: Int { get }
    /// Counts a body that is not kept, and returns the answer.
    func refuse(_ reason: BodyRefusal) -> HTTPResponse
    /// Answers the whole request.
    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply
}

/// The reason why a body is not kept.
package enum BodyRefusal: Sendable {
    /// It is larger than `HTTPExchange.maxBodyBytes`.
    case tooLarge
    /// Too many bytes of other bodies are being received.
    case overloaded
}

/// An answer that is ready, or one that something else (a sync of the disk) has to happen before.
package enum HTTPReply {
    case now(HTTPResponse)
    case later(EventLoopFuture<HTTPResponse>)
}
