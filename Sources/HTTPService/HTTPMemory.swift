/// The memory, by its purpose, and the descriptors that the listeners of all kinds share.
package final class HTTPMemory: Sendable {
    /// The bytes that an open connection takes, with the handlers of HTTP/1.1.
    static let connectionBytes = 8 << 10
    /// The bytes that HTTP/2 takes beside that: the tables of HPACK, and the times of control frames.
    static let http2Bytes = 24 << 10
    /// The bytes that a stream takes without its head and its body.
    static let streamBytes = 2 << 10
    /// The factor for a head, because the parser makes texts of its bytes, which take more than these.
    static let bytesPerHeadByte = 3

    /// The limit of bodies that are not complete yet.
    let bodies: SharedLimit
    /// The limit of connections, streams, heads that are not complete yet, and answers that wait for a client's window.
    let streams: SharedLimit
    let descriptors: SharedLimit
    /// The part that heads and streams leave for connections that are still to come.
    let keptForConnections: Int
    /// The largest read of a socket. A connection keeps a buffer of the size of its largest read for as long as it is open.
    let maxReadBytes: Int

    package init(bodyBytes: Int = 64 << 20, streamBytes: Int = 64 << 20, descriptors: Int = 1 << 20) {
        bodies = SharedLimit(bodyBytes)
        streams = SharedLimit(streamBytes)
        self.descriptors = SharedLimit(descriptors)
        keptForConnections = streamBytes / 4
        maxReadBytes = streamBytes >= 8 << 20 ? 64 << 10 : streamBytes >= 4 << 20 ? 32 << 10 : 16 << 10
    }

    package var heldBodyBytes: Int { bodies.held }
    package var heldStreamBytes: Int { streams.held }
}
