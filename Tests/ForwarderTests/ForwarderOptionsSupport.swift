import Forwarder

extension ForwarderOptions {
    /// Options to send to `url` in portions of a usual size.
    static func test(_ url: String) throws -> ForwarderOptions {
        ForwarderOptions(
            endpoint: try TraceEndpoint(base: url), userAgent: "test", headers: [], compression: .gzip,
            timeout: .seconds(10), maxBatchBytes: 1 << 20, maxBatchSpans: 1000, maxDelay: .milliseconds(200),
            maxDrainSpansPerSecond: 0, retryInitial: .seconds(1), retryMax: .seconds(30))
    }
}
