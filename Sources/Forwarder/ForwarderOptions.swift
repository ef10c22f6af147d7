package import OTLPClient

/// The destination of spans, and their portions. The values of settings have their defaults there.
package struct ForwarderOptions: Sendable {
    package var backend: OTLPBackend
    package var maxBatchBytes: Int
    package var maxBatchSpans: Int
    /// The longest time that a span waits for others to fill its request.
    package var maxDelay: Duration
    package var retryInitial: Duration
    package var retryMax: Duration
    /// The rate at which a backlog is sent; 0 for no limit.
    package var maxDrainSpansPerSecond: Int
    /// The wait up to which spans are sent in order; beyond it new ones go beside the old ones.
    package var maxOrdered = Duration.seconds(10)
    /// The number of requests at a time. Their bodies are all the memory that an outage takes.
    package var maxInFlight = 4
    /// The bytes that these may take together; a single one may be larger.
    package var maxBytesInFlight = 64 << 20
    /// The place of copies of refused requests; nil keeps none.
    package var refused: RefusedRequestsOptions?

    package init(
        _ backend: OTLPBackend, maxBatchBytes: Int, maxBatchSpans: Int, maxDelay: Duration,
        maxDrainSpansPerSecond: Int, retryInitial: Duration, retryMax: Duration
    ) {
        self.backend = backend
        self.maxBatchBytes = maxBatchBytes
        self.maxBatchSpans = maxBatchSpans
        self.maxDelay = maxDelay
        self.maxDrainSpansPerSecond = maxDrainSpansPerSecond
        self.retryInitial = retryInitial
        self.retryMax = retryMax
    }
}
