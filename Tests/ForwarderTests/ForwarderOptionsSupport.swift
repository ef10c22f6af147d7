import Forwarder

extension ForwarderOptions {
    /// Options to send to `url` in portions of a usual size.
    static func test(_ url: String) throws -> ForwarderOptions {
        ForwarderOptions(
            endpoint: try TraceEndpoint(base: url), userAgent: "test", headers: [], compression: .gzip,
            timeoutNanoseconds: 10_000_000_000, maxBatchBytes: 1 << 20, maxBatchSpans: 1000,
            maxDelayNanoseconds: 200_000_000, maxDrainSpansPerSecond: 0, retryInitialNanoseconds: 1_000_000_000,
            retryMaxNanoseconds: 30_000_000_000)
    }
}
