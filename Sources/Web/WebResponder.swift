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
    fileprivate enum Page {
        case status, metrics, healthy, ready, queues, deadLetters
        case scale(queue: [UInt8])
    }

    private let state: any WebState

    package init(_ state: any WebState) {
        self.state = state
    }

    package func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        guard let page = Self.page(at: head.path) else {
            let all = Self.pages.map(\.path) + [Self.scalePath + "{queue}"]
            return .answer(.text(.notFound, "no such page; there are \(all.joined(separator: ", "))"))
        }
        guard head.method == .GET || head.method == .HEAD else { return .answer(.methodNotAllowed("GET, HEAD")) }
        return .receive(WebRequest(page, head.headers, state))
    }

    private static let pages: [(path: String, page: Page)] = [
        ("/", .status), ("/metrics", .metrics), ("/-/healthy", .healthy), ("/-/ready", .ready), ("/healthz", .healthy),
        ("/readyz", .ready), ("/api/v1/queues", .queues), ("/api/v1/dead-letters", .deadLetters),
    ]
    private static let scalePath = "/api/v1/scale/"

    private static func page(at path: String) -> Page? {
        pages.first { $0.path == path }?.page ?? queueName(in: path).map { .scale(queue: $0) }
    }

    /// What stands behind `/api/v1/scale/`, slashes included: a queue's name may have any bytes.
    private static func queueName(in path: String) -> [UInt8]? {
        guard path.hasPrefix(scalePath), path.utf8.count > scalePath.utf8.count else { return nil }
        return PercentCoding.decodeLeniently(path.utf8.dropFirst(scalePath.utf8.count))
    }
}

/// A request for a page, with the headers that say in which form it is wanted.
private final class WebRequest: HTTPExchange {
    /// GET has no body; a small one is tolerated.
    var maxBodyBytes: Int { 64 << 10 }
    private let page: WebResponder.Page
    private let headers: HTTPHeaders
    private let state: any WebState

    init(_ page: WebResponder.Page, _ headers: HTTPHeaders, _ state: any WebState) {
        self.page = page
        self.headers = headers
        self.state = state
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse {
        switch reason {
        case .tooLarge: .text(.payloadTooLarge, "a request here has no body")
        case .overloaded: .text(.serviceUnavailable, "too many requests at a time")
        }
    }

    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply { .now(answer()) }

    private func answer() -> HTTPResponse {
        switch page {
        case .status:
            return compressed(
                HTTPResponse(.ok, contentType: "text/html; charset=utf-8", body: state.statusPage()))
        case .metrics: return metricsPage()
        case .healthy: return .text(.ok, "healthy")
        case .ready: return state.unreadyReason().map { .text(.serviceUnavailable, $0) } ?? .text(.ok, "ready")
        case .queues:
            switch state.queues() {
            case .list(let document): return compressed(.json(.ok, document))
            case .unread(let reason): return .text(.serviceUnavailable, reason)
            }
        case .deadLetters: return compressed(.json(.ok, state.deadLetters()))
        case .scale(let queue): return scale(ofQueue: queue)
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
    private func metricsPage() -> HTTPResponse {
        let asked = PageRequest(accept: headers["accept"].joined(separator: ","))
        var response = HTTPResponse(.ok, contentType: asked.contentType)
        response.headers.add(name: "Vary", value: "Accept")
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if wantsGzip {
            let packed = GzipCompressor().compress { state.writeMetricsPage(asked.format, to: $0) }
            response.body = ByteBuffer(bytes: packed)
            response.headers.add(name: "Content-Encoding", value: "gzip")
        } else {
            state.writeMetricsPage(asked.format) { response.body.writeBytes($0) }
        }
        return response
    }

    private func compressed(_ response: HTTPResponse) -> HTTPResponse {
        var response = response
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if !wantsGzip { return response }
        let packed = response.body.withUnsafeReadableBytes { GzipCompressor().compress($0) }
        response.body = ByteBuffer(bytes: packed)
        response.headers.add(name: "Content-Encoding", value: "gzip")
        return response
    }

    private var wantsGzip: Bool {
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
