package enum OTLPCompression: String, CaseIterable, Sendable {
    case gzip, zstd, none
}

/// The destination of requests, and the way to it.
package struct OTLPBackend: Sendable {
    package typealias Headers = [(name: String, value: String)]

    package var endpoint: OTLPEndpoint
    /// Returns a URL without its credentials, for the log.
    package var show: @Sendable (_ url: String) -> String = { $0 }
    package var tls: ClientTLS
    var proxies = ProxyRules()
    package var headers: Headers
    package var compression: OTLPCompression
    /// The time for one request, from connecting to the last byte of the answer.
    package var timeout: Duration
    package var userAgent: String
    /// Returns the endpoint and the headers as the files of secrets have them now; nil where none are configured.
    package var reread: (@Sendable () -> (endpoint: OTLPEndpoint, headers: Headers))?

    /// The endpoint without credentials.
    package var shownEndpoint: String { show(endpoint.url) }

    package init(
        endpoint: OTLPEndpoint, headers: Headers, compression: OTLPCompression, timeout: Duration, userAgent: String
    ) {
        self.endpoint = endpoint
        tls = ClientTLS(for: endpoint.signal)
        self.headers = headers
        self.compression = compression
        self.timeout = timeout
        self.userAgent = userAgent
    }
}
