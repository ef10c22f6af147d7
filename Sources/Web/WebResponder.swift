import Compression
package import HTTPService
package import Metrics
package import NIOCore
package import NIOHTTP1
import Text

/// What the web endpoints show; the collector fills it in.
package protocol WebState: Sendable {
    /// Gives the page to `sink`, in pieces, as it is made.
    func writeMetricsPage(_ format: PageFormat, to sink: (UnsafeRawBufferPointer) -> Void)
    /// nil when ready, else what is missing.
    func unreadyReason() -> String?
    /// The status page, HTML.
    func statusPage() -> [UInt8]
    /// The newest dead letters, JSON.
    func deadLetters() -> [UInt8]
    /// All queues, JSON.
    func queues() -> QueuesReply
    /// How many workers a queue wants.
    func scale(ofQueue name: [UInt8]) -> ScaleReply
}

package enum QueuesReply {
    /// JSON.
    case list([UInt8])
    /// Why none can be named.
    case unread(String)
}

package enum ScaleReply {
    /// JSON.
    case advice([UInt8])
    case unknownQueue
    /// Why there is no number that an autoscaler could act on.
    case stale(String)
}

/// The endpoints on `metrics.listen`.
///
/// | path                      | answer                                                        |
/// |---------------------------|---------------------------------------------------------------|
/// | `/metrics`                | the metrics page in the format asked for (`PageRequest`)      |
/// | `/-/healthy`, `/healthz`  | 200 while the process serves; Redis and Tempo don't matter    |
/// | `/-/ready`, `/readyz`     | 200 once started, 503 with the reason                         |
/// | `/`                       | the status page                                               |
/// | `/api/v1/queues`          | the queues as JSON; 503 where none is known, Redis being away |
/// | `/api/v1/dead-letters`    | the newest dead letters as JSON                               |
/// | `/api/v1/scale/{queue}`   | for autoscalers; 404 for an unknown queue, 503 without news   |
package struct WebResponder: HTTPResponder {
    /// GET has no body; a small one is tolerated.
    package func maxBodyBytes(_ head: HTTPRequestHead) -> Int { 64 << 10 }
    private let state: any WebState

    package init(_ state: any WebState) {
        self.state = state
    }

    package func refusal(of head: HTTPRequestHead) -> HTTPResponse? {
        guard Self.paths.contains(head.path) || Self.queueName(in: head.path) != nil else {
            let all = Self.paths + [Self.scalePath + "{queue}"]
            return .text(.notFound, "no such page; there are \(all.joined(separator: ", "))")
        }
        guard head.method == .GET || head.method == .HEAD else { return .methodNotAllowed("GET, HEAD") }
        return nil
    }

    private static let paths = [
        "/", "/metrics", "/-/healthy", "/-/ready", "/healthz", "/readyz", "/api/v1/queues", "/api/v1/dead-letters",
    ]
    private static let scalePath = "/api/v1/scale/"

    /// What stands behind `/api/v1/scale/`, slashes included: a queue's name may have any bytes.
    private static func queueName(in path: String) -> [UInt8]? {
        guard path.hasPrefix(scalePath), path.utf8.count > scalePath.utf8.count else { return nil }
        return PercentCoding.decodeLeniently(path.utf8.dropFirst(scalePath.utf8.count))
    }

    package func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse {
        .text(.payloadTooLarge, "a request here has no body")
    }

    package func tooManyBodies(_ head: HTTPRequestHead) -> HTTPResponse {
        .text(.serviceUnavailable, "too many requests at a time")
    }

    package func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply {
        switch request.path {
        case "/metrics":
            return .now(metricsPage(request.headers))
        case "/-/healthy", "/healthz": return .now(.text(.ok, "healthy"))
        case "/-/ready", "/readyz":
            if let reason = state.unreadyReason() { return .now(.text(.serviceUnavailable, reason)) }
            return .now(.text(.ok, "ready"))
        case "/api/v1/dead-letters":
            return .now(compressed(.json(.ok, state.deadLetters()), request.headers))
        case "/api/v1/queues":
            switch state.queues() {
            case .list(let document): return .now(compressed(.json(.ok, document), request.headers))
            case .unread(let reason): return .now(.text(.serviceUnavailable, reason))
            }
        default:
            if let name = Self.queueName(in: request.path) { return .now(scale(ofQueue: name)) }
            let page = HTTPResponse(.ok, contentType: "text/html; charset=utf-8", body: state.statusPage())
            return .now(compressed(page, request.headers))
        }
    }

    private func scale(ofQueue name: [UInt8]) -> HTTPResponse {
        switch state.scale(ofQueue: name) {
        case .advice(let document): .json(.ok, document)
        case .unknownQueue: .text(.notFound, "no such queue")
        case .stale(let reason): .text(.serviceUnavailable, reason)
        }
    }

    /// Compressed piece by piece as it is made: a page of many queues has tens of megabytes.
    private func metricsPage(_ headers: HTTPHeaders) -> HTTPResponse {
        let asked = PageRequest(accept: headers["accept"].joined(separator: ","))
        var response = HTTPResponse(.ok, contentType: asked.contentType)
        response.headers.add(name: "Vary", value: "Accept")
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if Self.wantsGzip(headers) {
            let packed = GzipCompressor().compress { state.writeMetricsPage(asked.format, to: $0) }
            response.body = ByteBuffer(bytes: packed)
            response.headers.add(name: "Content-Encoding", value: "gzip")
        } else {
            state.writeMetricsPage(asked.format) { response.body.writeBytes($0) }
        }
        return response
    }

    private func compressed(_ response: HTTPResponse, _ headers: HTTPHeaders) -> HTTPResponse {
        var response = response
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if !Self.wantsGzip(headers) { return response }
        let packed = response.body.withUnsafeReadableBytes { GzipCompressor().compress($0) }
        response.body = ByteBuffer(bytes: packed)
        response.headers.add(name: "Content-Encoding", value: "gzip")
        return response
    }

    private static func wantsGzip(_ headers: HTTPHeaders) -> Bool {
        headers[canonicalForm: "accept-encoding"].contains { coding in
            let parts = coding.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            return parts.first == "gzip" && quality > 0
        }
    }
}

extension HTTPResponse {
    fileprivate static func json(_ status: HTTPResponseStatus, _ document: [UInt8]) -> HTTPResponse {
        HTTPResponse(status, contentType: "application/json", body: document)
    }
}
