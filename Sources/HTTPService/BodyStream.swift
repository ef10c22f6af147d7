package import NIOCore

/// The rest of a body that is made while the client reads it. It is asked on one event loop, for one piece at a time.
package protocol BodyStream: AnyObject, Sendable {
    /// The bytes of memory that it takes at most, a piece that the client has not read yet included.
    var heldBytes: Int { get }
    /// Makes the next piece; returns nil behind the last one.
    func next() -> ByteBuffer?
}

/// A body on its way to a client. Its part of the limit of unread answers is returned when it is gone, whatever ends
/// it.
struct StreamedAnswer: ~Copyable {
    private let stream: any BodyStream
    private let heldBytes: Int
    private let limits: HTTPLimits

    /// - Parameter heldBytes: The bytes that were held for it, and are now its own.
    init(_ stream: any BodyStream, heldBytes: Int, _ limits: HTTPLimits) {
        self.stream = stream
        self.heldBytes = heldBytes
        self.limits = limits
    }

    deinit {
        limits.releaseAnswer(heldBytes)
    }

    func next() -> ByteBuffer? { stream.next() }
}
