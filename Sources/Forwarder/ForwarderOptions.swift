package enum ForwardCompression: String, CaseIterable, Sendable {
    case gzip, zstd, none
}

/// Where spans go, and in which portions.
package struct ForwarderOptions: Sendable {
    package var endpoint: TraceEndpoint
    package var tls = ForwarderTLS()
    package var headers: [(name: String, value: String)] = []
    package var compression: ForwardCompression = .gzip
    /// For one request, from connecting to the last byte of the answer.
    package var timeoutNanoseconds: UInt64 = 10_000_000_000
    package var maxBatchBytes = 1 << 20
    package var maxBatchSpans = 1000
    /// How long spans may wait for company.
    package var maxDelayNanoseconds: UInt64 = 200_000_000
    package var retryInitialNanoseconds: UInt64 = 1_000_000_000
    package var retryMaxNanoseconds: UInt64 = 30_000_000_000
    /// How fast a backlog is sent; 0 = no limit.
    package var maxDrainSpansPerSecond = 0
    /// Spans are sent in order as long as they wait no longer than this; then new ones go beside them.
    package var maxOrderedNanoseconds: UInt64 = 10_000_000_000
    /// Requests at a time. Their batches, and those that wait for a retry, are all the memory that an outage takes.
    package var maxInFlight = 4
    package var userAgent: String
    /// Where copies of refused requests go; nil = nowhere.
    package var refused: RefusedRequestsOptions?

    package init(endpoint: TraceEndpoint, userAgent: String) {
        self.endpoint = endpoint
        self.userAgent = userAgent
    }
}
