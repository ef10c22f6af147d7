package enum OTLPCompression: String, CaseIterable, Sendable {
    case gzip, zstd, none
}

/// Where requests go, and how.
package struct OTLPBackend: Sendable {
    package typealias Headers = [(name: String, value: String)]

    package var endpoint: OTLPEndpoint
    /// Makes a URL one without credentials, for the log.
    package var show: @Sendable (_ url: String) -> String = { $0 }
    package var tls: ClientTLS
    var proxies = ProxyRules()
    package var headers: Headers
    package var compression: OTLPCompression
    /// For one request, from connecting to the last byte of the answer.
    package var timeout: Duration
    package var userAgent: String
    /// The endpoint and the headers as the files of secrets have them now; nil where there are none.
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
