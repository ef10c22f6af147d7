package import NIOCore
package import NIOHTTP1

package struct HTTPResponse: Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: ByteBuffer
    /// The stream that follows the body, over HTTP/1.1 only; nil where there is none.
    package var stream: (any BodyStream)?
    /// The trailers after the body, over HTTP/2 only.
    package var trailers: HTTPHeaders?
    /// The line for the log; nil where there is nothing to tell.
    package var refusal: HTTPRefusal?

    package init(_ status: HTTPResponseStatus, contentType: String? = nil, body: [UInt8] = []) {
        self.status = status
        self.headers = contentType.map { ["Content-Type": $0] } ?? [:]
        self.body = ByteBuffer(bytes: body)
    }

    package static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        HTTPResponse(status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }

    /// Returns a refusal in plain text.
    package static func refused(_ status: HTTPResponseStatus, reason: String, _ text: String) -> HTTPResponse {
        var response = HTTPResponse.text(status, text)
        response.refusal = HTTPRefusal(reason, text)
        return response
    }

    package static func methodNotAllowed(_ allowed: String) -> HTTPResponse {
        var response = HTTPResponse.text(.methodNotAllowed, "method not allowed; allowed: \(allowed)")
        response.headers.add(name: "Allow", value: allowed)
        return response
    }
}

extension HTTPRequestHead {
    /// The path without its query.
    package var path: String {
        let target = uri.prefix { $0 != "?" }
        // RFC 9112, 3.2.2: a server accepts the form for proxies, `http://host/path`, as well.
        guard target.first != "/", let colon = target.firstIndex(of: ":") else { return String(target) }
        let rest = target[colon...]
        guard rest.hasPrefix("://") else { return String(target) }
        return rest.dropFirst(3).firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
    }
}
