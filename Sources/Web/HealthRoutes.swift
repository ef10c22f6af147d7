import Compression
import HTTPService
package import Metrics
import NIOCore
import NIOHTTP1

/// The state behind the metrics page and the health endpoints.
package protocol HealthState: Sendable {
    /// Begins a metrics page.
    func metricsPage(_ format: PageFormat) -> any MetricsPage
    /// Returns nil while every part of the process moves, else those that do not. Redis, the backends and the disk don't
    /// matter.
    func unhealthyReason() -> String?
    /// Returns nil when ready, else what is missing.
    func unreadyReason() -> String?
}

/// A metrics page that is made piece by piece.
package protocol MetricsPage: AnyObject {
    /// Hands the next piece to `sink`. Returns false after the last one, which may be empty.
    func next(_ sink: (UnsafeRawBufferPointer) -> Void) -> Bool
}

extension WebRoute {
    /// | path                     | answer                                                                            |
    /// |--------------------------|-----------------------------------------------------------------------------------|
    /// | `/metrics`               | the metrics page in the format asked for (`PageRequest`)                          |
    /// | `/-/healthy`, `/healthz` | 200 while all parts move, else 503 with their names; Redis and Tempo don't matter |
    /// | `/-/ready`, `/readyz`    | 200 once started, 503 with the reason                                             |
    static let health =
        [WebRoute(path: "/metrics", for: .machines) { metricsPage($0, $1) }]
        + ["/-/healthy", "/healthz"].map { path in
            WebRoute(path: path, for: .everyone) { _, state in
                .plain(state.unhealthyReason().map { .text(.serviceUnavailable, $0) } ?? .text(.ok, "healthy"))
            }
        }
        + ["/-/ready", "/readyz"].map { path in
            WebRoute(path: path, for: .everyone) { _, state in
                .plain(state.unreadyReason().map { .text(.serviceUnavailable, $0) } ?? .text(.ok, "ready"))
            }
        }

    /// Answers with the metrics page. A page of one piece is answered as a whole; the rest of a longer one is made
    /// while the client reads.
    private static func metricsPage(_ question: WebQuestion, _ state: any HealthState) -> WebAnswer {
        let asked = PageRequest(accept: question.headers["accept"].joined(separator: ","))
        var response = HTTPResponse(.ok, contentType: asked.contentType)
        response.headers.add(name: "Vary", value: "Accept")
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if question.acceptsGzip { response.headers.add(name: "Content-Encoding", value: "gzip") }
        let body = MetricsPageBody(state.metricsPage(asked.format), isCompressed: question.acceptsGzip)
        response.body = body.next() ?? ByteBuffer()
        response.stream = body.isOver ? nil : body
        return .plain(response)
    }
}
