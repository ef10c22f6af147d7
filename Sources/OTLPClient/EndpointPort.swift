import CCurl
package import Model

/// The kind of the endpoint's port. A server of TLS that gets `http://` often ends the connection without a word, as a server that
/// breaks down does. So the port is asked: only a server of TLS answers a handshake.
///
/// | the endpoint                        | a request without TLS that is broken off                     |
/// |-------------------------------------|--------------------------------------------------------------|
/// | has answered before                 | is an outage                                                 |
/// | has never answered                  | tries a handshake, at most once a minute, which decides      |
package struct EndpointPort {
    private static let pause = Duration.seconds(60)
    /// The time that a handshake may take: the thread of the requests waits for it.
    private static let timeoutMilliseconds = 2000

    private struct Known {
        let endpoint: OTLPEndpoint
        var hasAnswered = false
        /// The result of the last handshake.
        var isForTLS = false
        var next = MonotonicTime(nanoseconds: 0)
    }

    private var known: Known?
    private let speaksTLS: (OTLPEndpoint) -> Bool

    package init() {
        self.init { Self.answersHandshake($0) }
    }

    /// - Parameter speaksTLS: Tries a handshake with the endpoint's port. Returns true if a server of TLS answers.
    init(speaksTLS: @escaping (OTLPEndpoint) -> Bool) {
        self.speaksTLS = speaksTLS
    }

    /// Returns the answer to a request; a failure that the kind of the port explains becomes a mistake of configuration.
    package mutating func judged(_ answer: OTLPAnswer, of transfer: CurlTransfer, at now: MonotonicTime) -> OTLPAnswer {
        transfer.hasProxy ? answer : judged(answer, from: transfer.endpoint, at: now)
    }

    mutating func judged(_ answer: OTLPAnswer, from endpoint: OTLPEndpoint, at now: MonotonicTime) -> OTLPAnswer {
        if endpoint.scheme != "http" { return answer }
        var port = known?.endpoint == endpoint ? known ?? Known(endpoint: endpoint) : Known(endpoint: endpoint)
        defer { known = port }
        guard let failure = answer.failure else {
            port.hasAnswered = true
            return answer
        }
        if port.hasAnswered || !failure.isBroken { return answer }
        if now >= port.next {
            port.isForTLS = speaksTLS(endpoint)
            port.next = now.advanced(by: Self.pause)
        }
        return port.isForTLS ? .failed(.portOfTLS(endpoint.signal, failure.text)) : answer
    }

    private static func answersHandshake(_ endpoint: OTLPEndpoint) -> Bool {
        guard let (host, port) = endpoint.hostAndPort, let handle = curl_easy_init() else { return false }
        defer { curl_easy_cleanup(handle) }
        let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(to: 0)
        defer { errorText.deallocate() }
        _ = collector_curl_set_string(handle, CURLOPT_URL, "https://\(host):\(port)/")
        _ = collector_curl_set_string(handle, CURLOPT_PROXY, "")
        _ = collector_curl_set_string(handle, CURLOPT_NOPROXY, "")
        _ = collector_curl_set_long(handle, CURLOPT_CONNECT_ONLY, 1)
        _ = collector_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        _ = collector_curl_set_long(handle, CURLOPT_QUICK_EXIT, 1)
        _ = collector_curl_set_long(handle, CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
        // Nothing is sent but the handshake, and any certificate tells that it is TLS.
        _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 0)
        _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 0)
        _ = collector_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        let result = curl_easy_perform(handle)
        // A server of TLS may refuse the handshake, by an alert or by a version of long ago.
        let words = String(cString: errorText)
        return result == CURLE_OK
            || result == CURLE_SSL_CONNECT_ERROR && (words.contains("alert") || words.contains("unsupported protocol"))
    }
}
