import Forwarder
import OTLPClient

extension ForwarderOptions {
    /// Options to send to `url` in portions of a usual size.
    static func test(_ url: String) throws -> ForwarderOptions {
        ForwarderOptions(
            OTLPBackend(
                endpoint: try OTLPEndpoint(base: url, for: .traces), headers: [], compression: .gzip,
                timeout: .seconds(10), userAgent: "test"),
            maxBatchBytes: 1 << 20, maxBatchSpans: 1000, maxDelay: .milliseconds(200),
            maxDrainSpansPerSecond: 0, retryInitial: .seconds(1), retryMax: .seconds(30))
    }
}
