import Compression
import HTTPService
package import Metrics
import NIOCore
import NIOHTTP1

/// What the metrics page and the health endpoints show.
package protocol HealthState: Sendable {
    /// Gives the page to `sink`, in pieces, as it is made.
    func writeMetricsPage(_ format: PageFormat, to sink: (UnsafeRawBufferPointer) -> Void)
    /// nil when ready, else what is missing.
    func unreadyReason() -> String?
}

extension WebRoute {
    /// | path                     | answer                                                     |
    /// |--------------------------|------------------------------------------------------------|
    /// | `/metrics`               | the metrics page in the format asked for (`PageRequest`)   |
    /// | `/-/healthy`, `/healthz` | 200 while the process serves; Redis and Tempo don't matter |
    /// | `/-/ready`, `/readyz`    | 200 once started, 503 with the reason                      |
    static let health =
        [WebRoute(path: "/metrics", for: .machines) { metricsPage($0, $1) }]
        + ["/-/healthy", "/healthz"].map {
            WebRoute(path: $0, for: .everyone) { _, _ in .plain(.text(.ok, "healthy")) }
        }
        + ["/-/ready", "/readyz"].map { path in
            WebRoute(path: path, for: .everyone) { _, state in
                .plain(state.unreadyReason().map { .text(.serviceUnavailable, $0) } ?? .text(.ok, "ready"))
            }
        }

    /// Compressed piece by piece as it is made: a page of many queues has tens of megabytes.
    private static func metricsPage(_ question: WebQuestion, _ state: any HealthState) -> WebAnswer {
        let asked = PageRequest(accept: question.headers["accept"].joined(separator: ","))
        var response = HTTPResponse(.ok, contentType: asked.contentType)
        response.headers.add(name: "Vary", value: "Accept")
        response.headers.add(name: "Vary", value: "Accept-Encoding")
        if question.acceptsGzip {
            let packed = GzipCompressor().compress { state.writeMetricsPage(asked.format, to: $0) }
            response.body = ByteBuffer(bytes: packed)
            response.headers.add(name: "Content-Encoding", value: "gzip")
        } else {
            state.writeMetricsPage(asked.format) { response.body.writeBytes($0) }
        }
        return .plain(response)
    }
}
