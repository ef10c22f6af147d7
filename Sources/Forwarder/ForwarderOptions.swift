package enum ForwardCompression: String, CaseIterable, Sendable {
    case gzip, zstd, none
}

/// Where spans go, and in which portions. Values that a setting has, have their default there.
package struct ForwarderOptions: Sendable {
    package var endpoint: TraceEndpoint
    package var tls = ForwarderTLS()
    package var headers: [(name: String, value: String)]
    package var compression: ForwardCompression
    /// For one request, from connecting to the last byte of the answer.
    package var timeoutNanoseconds: UInt64
    package var maxBatchBytes: Int
    package var maxBatchSpans: Int
    /// How long spans may wait for company.
    package var maxDelayNanoseconds: UInt64
    package var retryInitialNanoseconds: UInt64
    package var retryMaxNanoseconds: UInt64
    /// How fast a backlog is sent; 0 = no limit.
    package var maxDrainSpansPerSecond: Int
    /// Spans are sent in order as long as they wait no longer than this; then new ones go beside them.
    package var maxOrderedNanoseconds: UInt64 = 10_000_000_000
    /// Requests at a time. Their bodies are all the memory that an outage takes.
    package var maxInFlight = 4
    package var userAgent: String
    /// Where copies of refused requests go; nil = nowhere.
    package var refused: RefusedRequestsOptions?

    package init(
        endpoint: TraceEndpoint, userAgent: String, headers: [(name: String, value: String)],
        compression: ForwardCompression, timeoutNanoseconds: UInt64, maxBatchBytes: Int, maxBatchSpans: Int,
        maxDelayNanoseconds: UInt64, maxDrainSpansPerSecond: Int, retryInitialNanoseconds: UInt64,
        retryMaxNanoseconds: UInt64
    ) {
        self.endpoint = endpoint
        self.userAgent = userAgent
        self.headers = headers
        self.compression = compression
        self.timeoutNanoseconds = timeoutNanoseconds
        self.maxBatchBytes = maxBatchBytes
        self.maxBatchSpans = maxBatchSpans
        self.maxDelayNanoseconds = maxDelayNanoseconds
        self.maxDrainSpansPerSecond = maxDrainSpansPerSecond
        self.retryInitialNanoseconds = retryInitialNanoseconds
        self.retryMaxNanoseconds = retryMaxNanoseconds
    }
}
