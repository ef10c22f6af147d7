package enum ForwardCompression: String, CaseIterable, Sendable {
    case gzip, zstd, none
}

/// Where spans go, and in which portions. Values that a setting has, have their default there.
package struct ForwarderOptions: Sendable {
    package var endpoint: TraceEndpoint
    /// Makes a URL one without credentials, for the log.
    package var show: @Sendable (_ url: String) -> String = { $0 }
    package var tls = ForwarderTLS()
    var proxies = ProxyRules()
    package var headers: [(name: String, value: String)]
    package var compression: ForwardCompression
    /// For one request, from connecting to the last byte of the answer.
    package var timeout: Duration
    package var maxBatchBytes: Int
    package var maxBatchSpans: Int
    /// The longest time that a span waits for others to fill its request.
    package var maxDelay: Duration
    package var retryInitial: Duration
    package var retryMax: Duration
    /// How fast a backlog is sent; 0 = no limit.
    package var maxDrainSpansPerSecond: Int
    /// Spans are sent in order as long as they wait no longer than this; then new ones go beside them.
    package var maxOrdered = Duration.seconds(10)
    /// Requests at a time. Their bodies are all the memory that an outage takes.
    package var maxInFlight = 4
    package var userAgent: String
    /// Where copies of refused requests go; nil = nowhere.
    package var refused: RefusedRequestsOptions?
    /// The endpoint and the headers as the files of secrets have them now; nil where there are none.
    package var reread: (@Sendable () -> (endpoint: TraceEndpoint, headers: [(name: String, value: String)]))?

    package init(
        endpoint: TraceEndpoint, userAgent: String, headers: [(name: String, value: String)],
        compression: ForwardCompression, timeout: Duration, maxBatchBytes: Int, maxBatchSpans: Int,
        maxDelay: Duration, maxDrainSpansPerSecond: Int, retryInitial: Duration, retryMax: Duration
    ) {
        self.endpoint = endpoint
        self.userAgent = userAgent
        self.headers = headers
        self.compression = compression
        self.timeout = timeout
        self.maxBatchBytes = maxBatchBytes
        self.maxBatchSpans = maxBatchSpans
        self.maxDelay = maxDelay
        self.maxDrainSpansPerSecond = maxDrainSpansPerSecond
        self.retryInitial = retryInitial
        self.retryMax = retryMax
    }
}
