/// What the listeners of all kinds share: memory by what it is for, and descriptors.
package final class HTTPMemory: Sendable {
    /// What an open connection takes, with the handlers of HTTP/1.1.
    static let connectionBytes = 8 << 10
    /// What HTTP/2 takes beside that: the tables of HPACK, and the times of control frames.
    static let http2Bytes = 24 << 10
    /// What a stream takes without its head and its body.
    static let streamBytes = 2 << 10
    /// The parser makes texts of a head's bytes, which take more than these.
    static let bytesPerHeadByte = 3

    /// Bodies that are not complete yet.
    let bodies: SharedLimit
    /// Connections, streams, heads that are not complete yet, and answers that wait for a client's window.
    let streams: SharedLimit
    let descriptors: SharedLimit
    /// What heads and streams leave of their part for connections that are still to come.
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
