package import OTLPClient

/// Where spans go, and in which portions. Values that a setting has, have their default there.
package struct ForwarderOptions: Sendable {
    package var backend: OTLPBackend
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
    /// What these may take together; a single one may be larger.
    package var maxBytesInFlight = 64 << 20
    /// Where copies of refused requests go; nil = nowhere.
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
