import Synchronization

/// A client that several threads share; they ask one after the other.
package final class SharedWebClient: Sendable {
    private let client: Mutex<WebClient>

    /// - Throws: `Failure` where libcurl has no memory.
    package init(
        _ address: WebAddress, _ credentials: WebClient.Credentials?, timeout: Duration
    ) throws(WebClient.Failure) {
        client = Mutex(try WebClient(address, credentials, timeout: timeout))
    }

    /// Asks for a path that begins with a slash.
    ///
    /// - Parameter etag: The tag of the document that is known.
    /// - Throws: `Failure` with the reason why no answer came.
    package func get(_ path: String, unless etag: String?) throws(WebClient.Failure) -> WebClient.Answer {
        try client.withLock { client throws(WebClient.Failure) in try client.get(path, unless: etag) }
    }
}
