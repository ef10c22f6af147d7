import NIOCore
import NIOHTTP1

/// An answer of HTTP/1.1 as it is written, but for its end.
struct HTTP1Answer: Equatable {
    /// Answers of this size and more count against the limit of answers that are not read yet.
    static let largeBytes = 16 << 10

    let head: HTTPResponseHead
    /// nil where none follows the head.
    let body: ByteBuffer?
    /// What the body holds of the limit of unread answers, to be returned once it is written.
    var heldBytes = 0
}

/// What the head of a request says of the form of its answer.
struct AnswerForm {
    private let version: HTTPVersion
    private let omitsBody: Bool
    /// The connection goes on after the answer.
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

    /// The bytes of the body that are written.
    func writtenBytes(of response: HTTPResponse) -> Int { omitsBody ? 0 : response.body.readableBytes }

    func answer(_ response: HTTPResponse, heldBytes: Int = 0) -> HTTP1Answer {
        var headers = response.headers
        headers.replaceOrAdd(name: "Content-Length", value: String(response.body.readableBytes))
        if !keepsAlive {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if version == .http1_0 {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        return HTTP1Answer(
            head: HTTPResponseHead(version: version, status: response.status, headers: headers),
            body: writtenBytes(of: response) > 0 ? response.body : nil, heldBytes: heldBytes)
    }
}
