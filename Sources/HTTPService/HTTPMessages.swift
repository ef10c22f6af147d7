package import NIOCore
package import NIOHTTP1

/// A whole request: the body is complete and within the limit.
package struct HTTPRequest: Sendable {
    package let method: HTTPMethod
    /// Without the query.
    package let path: String
    package let headers: HTTPHeaders
    package let body: ByteBuffer
    /// When its head was read.
    package let arrival: NIODeadline
}

package struct HTTPResponse: Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: ByteBuffer
    /// Sent after the body, over HTTP/2 only.
    package var trailers: HTTPHeaders?

    package init(_ status: HTTPResponseStatus, contentType: String? = nil, body: [UInt8] = []) {
        self.status = status
        self.headers = contentType.map { ["Content-Type": $0] } ?? [:]
        self.body = ByteBuffer(bytes: body)
    }

    package static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        HTTPResponse(status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }

    package static func methodNotAllowed(_ allowed: String) -> HTTPResponse {
        var response = HTTPResponse.text(.methodNotAllowed, "method not allowed; allowed: \(allowed)")
        response.headers.add(name: "Allow", value: allowed)
        return response
    }
}

/// An answer that is ready, or one that something else (a sync of the disk) has to happen before.
package enum HTTPReply {
    case now(HTTPResponse)
    case later(EventLoopFuture<HTTPResponse>)
}

/// What answers the requests of one listener. Called on event loops; must not block.
package protocol HTTPResponder: Sendable {
    /// Larger bodies are refused by `bodyTooLarge`, without being kept.
    func maxBodyBytes(_ head: HTTPRequestHead) -> Int
    /// A refusal that can be told from the head alone (wrong path, method or type); the body is then not kept.
    func refusal(of head: HTTPRequestHead) -> HTTPResponse?
    func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse
    /// The answer to a body that finds no room beside the others that its connection is sending.
    func tooManyBodies(_ head: HTTPRequestHead) -> HTTPResponse
    func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply
}

extension HTTPRequestHead {
    /// The path without its query.
    package var path: String {
        let target = uri.prefix { $0 != "?" }
        // RFC 9112, 3.2.2: what proxies are sent, `http://host/path`, a server takes as well.
        guard target.first != "/", let colon = target.firstIndex(of: ":") else { return String(target) }
        let rest = target[colon...]
        guard rest.hasPrefix("://") else { return String(target) }
        return rest.dropFirst(3).firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
    }
}
