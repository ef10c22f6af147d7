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
    private let isChunked: Bool
    private let heldBytes: Int
    private let limits: HTTPLimits

    /// - Parameters:
    ///   - isChunked: The client tells the end by an empty chunk, and not by that of the connection.
    ///   - heldBytes: The bytes that were held for it, and are now its own.
    init(_ stream: any BodyStream, isChunked: Bool, heldBytes: Int, _ limits: HTTPLimits) {
        self.stream = stream
        self.isChunked = isChunked
        self.heldBytes = heldBytes
        self.limits = limits
    }

    deinit {
        limits.releaseAnswer(heldBytes)
    }

    func next() -> StreamPiece { StreamPiece(bytes: stream.next(), isChunked: isChunked) }
}

/// A piece of a streamed answer, or its end.
struct StreamPiece {
    /// The bytes; nil for the end.
    let bytes: ByteBuffer?
    let isChunked: Bool

    var isLast: Bool { bytes == nil }

    /// Gives the buffers as they go to the socket, in their order (RFC 9112, 7.1). The piece itself is not copied.
    func write(_ write: (ByteBuffer) -> Void) {
        switch (bytes, isChunked) {
        case (nil, true): write(ByteBuffer(string: "0\r\n\r\n"))
        case (nil, false): break
        case (let bytes?, false): write(bytes)
        case (let bytes?, true):
            // An empty chunk would be the end.
            if bytes.readableBytes == 0 { return }
            write(ByteBuffer(string: String(bytes.readableBytes, radix: 16) + "\r\n"))
            write(bytes)
            write(ByteBuffer(string: "\r\n"))
        }
    }
}
