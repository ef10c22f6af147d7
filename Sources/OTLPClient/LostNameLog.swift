package import Logging
package import Model
import Text

/// Logs that the name of an endpoint can't be looked up (`EndpointName`): a line a minute.
package struct LostNameLog {
    private let key: String
    private var limit = LogLimit(pause: .seconds(60))

    /// - Parameter key: The setting that names the endpoint.
    package init(_ key: String) {
        self.key = key
    }

    /// - Parameters:
    ///   - endpoint: Its URL without credentials.
    ///   - address: The last address that answered, which is used now.
    package mutating func record(
        _ address: LastAddress, of endpoint: String, reason: String, in logger: Logger, at now: MonotonicTime
    ) {
        guard let more = limit.take(at: now) else { return }
        logger.warning(
            "the name of \(key) can't be looked up; its last address is used",
            metadata: [
                "endpoint": "\(endpoint)", "address": "\(address.address)", "reason": "\(SafeText.oneLine(reason))",
                "more_since_last_line": "\(more)",
            ])
    }
}
