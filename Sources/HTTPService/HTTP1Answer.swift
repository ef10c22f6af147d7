import NIOCore
import NIOHTTP1

/// An answer of HTTP/1.1 as it is written, but for its end.
struct HTTP1Answer: Equatable {
    /// The size from which answers count against the limit of answers that are not read yet.
    static let largeBytes = 16 << 10

    let head: HTTPResponseHead
    /// The body; nil where none follows the head.
    let body: ByteBuffer?
    /// The bytes of the limit of unread answers that the body holds, to be returned once it is written.
    var heldBytes = 0
}

/// The form of the answer that the head of a request asks for.
struct AnswerForm {
    private let version: HTTPVersion
    private let omitsBody: Bool
    /// True if the connection goes on after the answer.
    private(set) var keepsAlive: Bool

    init(_ head: HTTPRequestHead) {
        version = head.version
        omitsBody = head.method == .HEAD
        // After a request to upgrade the parser expects another protocol, and would not see the next request.
        keepsAlive = head.isKeepAlive && !head.headers.contains(name: "upgrade") && head.method != .CONNECT
    }

    mutating func makeLast() {
        keepsAlive = false
    }

    /// Returns the bytes of a response that are in memory until the client has read it.
    func heldBytes(by response: HTTPResponse) -> Int {
        omitsBody ? 0 : response.body.readableBytes + (response.stream?.heldBytes ?? 0)
    }

    /// Returns the stream that follows a response's body, where that is written. Chunks tell its end. A client that
    /// does not know chunks learns it from the end of the connection, and so does one that asked for the head alone.
    mutating func stream(of response: HTTPResponse) -> (any BodyStream)? {
        guard let stream = response.stream else { return nil }
        if omitsBody || version == .http1_0 { makeLast() }
        return omitsBody ? nil : stream
    }

    func answer(_ response: HTTPResponse, heldBytes: Int = 0) -> HTTP1Answer {
        var headers = response.headers
        if response.stream == nil {
            headers.replaceOrAdd(name: "Content-Length", value: String(response.body.readableBytes))
        }
        if !keepsAlive {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if version == .http1_0 {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        return HTTP1Answer(
            head: HTTPResponseHead(version: version, status: response.status, headers: headers),
            body: omitsBody || response.body.readableBytes == 0 ? nil : response.body, heldBytes: heldBytes)
    }
}
