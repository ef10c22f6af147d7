import Compression
package import HTTPService
package import Metrics
package import NIOCore
package import NIOHTTP1

/// What the web endpoints show; the collector fills it in.
package protocol WebState: Sendable {
    func metricsPage(_ format: PageFormat) -> [UInt8]
    /// nil when ready, else what is missing.
    func unreadyReason() -> String?
    /// The status page, HTML.
    func statusPage() -> [UInt8]
}

/// The endpoints on `metrics.listen`.
///
/// | path                      | answer                                                        |
/// |---------------------------|---------------------------------------------------------------|
/// | `/metrics`                | the metrics page in the format asked for (`PageRequest`)      |
/// | `/-/healthy`, `/healthz`  | 200 while the process serves; Redis and Tempo don't matter    |
/// | `/-/ready`, `/readyz`     | 200 once started, 503 with the reason                         |
/// | `/`                       | the status page                                               |
package struct WebResponder: HTTPResponder {
    /// GET has no body; a small one is tolerated.
    package func maxBodyBytes(_ head: HTTPRequestHead) -> Int { 64 << 10 }
    private let state: any WebState

    package init(_ state: any WebState) {
        self.state = state
    }

    package func refusal(of head: HTTPRequestHead) -> HTTPResponse? {
        guard Self.paths.contains(head.path) else {
            return .text(.notFound, "no such page; there are \(Self.paths.joined(separator: ", "))")
        }
        guard head.method == .GET || head.method == .HEAD else { return .methodNotAllowed("GET, HEAD") }
        return nil
    }

    private static let paths = ["/", "/metrics", "/-/healthy", "/-/ready", "/healthz", "/readyz"]

    package func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse {
        .text(.payloadTooLarge, "a request here has no body")
    }

    package func tooManyBodies(_ head: HTTPRequestHead) -> HTTPResponse {
        .text(.serviceUnavailable, "too many requests at a time")
    }

    package func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply {
        switch request.path {
        case "/metrics":
            let asked = PageRequest(accept: request.headers["accept"].joined(separator: ","))
            var page = HTTPResponse(.ok, contentType: asked.contentType, body: state.metricsPage(asked.format))
            page.headers.add(name: "Vary", value: "Accept")
            return .now(compressed(page, request.headers))
        case "/-/healthy", "/healthz": return .now(.text(.ok, "healthy"))
        case "/-/ready", "/readyz":
            if let reason = state.unreadyReason() { return .now(.text(.serviceUnavailable, reason)) }
            return .now(.text(.ok, "ready"))
        default:
            let page = HTTPResponse(.ok, contentType: "text/html; charset=utf-8", body: state.statusPage())
            return .now(compressed(page, request.headers))
        }
    }

    private func compressed(_ response: HTTPResponse, _ headers: HTTPHeaders) -> HTTPResponse {
        let wantsGzip = headers[canonicalForm: "accept-encoding"].contains { coding in
            let parts = coding.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            return parts.first == "gzip" && quality > 0
        }
        var response = response
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if !wantsGzip { return response }
        response.body = response.body.withUnsafeBytes { GzipCompressor().compress($0) }
        response.headers.add(name: "Content-Encoding", value: "gzip")
        return response
    }
}
