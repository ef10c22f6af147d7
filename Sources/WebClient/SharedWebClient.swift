import Synchronization

/// A client that several threads share; they ask one after the other.
package final class SharedWebClient: Sendable {
    private let client: Mutex<WebClient>

    /// - Throws: where libcurl has no memory.
    package init(_ address: WebAddress, timeout: Duration) throws(WebClient.Failure) {
        client = Mutex(try WebClient(address, timeout: timeout))
    }

    /// Asks for a path that begins with a slash.
    ///
    /// - Throws: why no answer came.
    package func get(_ path: String) throws(WebClient.Failure) -> WebClient.Answer {
        try client.withLock { client throws(WebClient.Failure) in try client.get(path) }
    }
}
