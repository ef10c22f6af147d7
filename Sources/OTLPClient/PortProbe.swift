import CCurl
import Model
import Platform

/// Asks a port what it is, by connections of its own. Neither credentials nor a client certificate are sent, and any certificate
/// tells that it is TLS.
struct PortProbe {
    /// The time that all questions together may take: the thread of the requests waits for the answers.
    private static let patience = Duration.seconds(2)
    private static let maxAnswerBytes = 16 << 10
    private static let (http1, http2) = ("http/1.1", "h2")

    private let endpoint: OTLPEndpoint
    private let deadline = Clock.system.monotonic().advanced(by: patience)

    /// Returns the kind of the endpoint's port, if it is one of the suspects.
    static func find(_ suspects: [EndpointPort.Kind], at endpoint: OTLPEndpoint) -> EndpointPort.Kind? {
        let probe = PortProbe(endpoint: endpoint)
        return suspects.first { probe.isPort(of: $0) }
    }

    private func isPort(of kind: EndpointPort.Kind) -> Bool {
        switch kind {
        case .tls: handshake(offering: [Self.http2, Self.http1]).isAnswered
        // Some ports take both, so that an answer without TLS alone proves nothing.
        case .plain: answersWithoutTLS() && !handshake(offering: [Self.http2, Self.http1]).isAnswered
        // A server of both takes HTTP/1.1 where nothing else is offered.
        case .grpc:
            handshake(offering: [Self.http2, Self.http1]).protocolName == Self.http2
                && handshake(offering: [Self.http1]).refusesProtocols
        }
    }

    // MARK: A handshake

    private struct Handshake {
        let result: CURLcode
        /// libcurl's words for the result.
        let words: String
        /// The protocol that the server takes; empty where it takes none.
        let protocolName: String

        /// True if a server of TLS is there. It may refuse the handshake, by an alert or by a version of long ago.
        var isAnswered: Bool {
            result == CURLE_OK
                || result == CURLE_SSL_CONNECT_ERROR
                    && (words.contains(" alert ") || words.contains("unsupported protocol"))
        }

        /// True if the server takes none of the protocols: it goes on without, or it ends the connection.
        var refusesProtocols: Bool {
            protocolName.isEmpty && [CURLE_OK, CURLE_SSL_CONNECT_ERROR].contains(result)
        }
    }

    private func handshake(offering protocols: [String]) -> Handshake {
        let offer = ProtocolOffer(protocols)
        let names = endpoint.substitution.flatMap { curl_slist_append(nil, $0.connectTo) }
        defer { curl_slist_free_all(names) }
        let (result, words) = perform("https", host: endpoint.substitution?.serverHost) { handle in
            _ = collector_curl_set_pointer(handle, CURLOPT_CONNECT_TO, names)
            _ = collector_curl_set_long(handle, CURLOPT_CONNECT_ONLY, 1)
            _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 0)
            _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 0)
            offer.replaceOffer(of: handle)
        }
        return Handshake(result: result, words: words, protocolName: offer.taken)
    }

    // MARK: A request without TLS

    private final class Answer {
        var bytes: [UInt8] = []
    }

    private func answersWithoutTLS() -> Bool {
        let answer = Answer()
        _ = perform("http") { handle in
            // The head is taken with the body; 2 is CURL_HTTP_VERSION_1_1.
            _ = collector_curl_set_long(handle, CURLOPT_HEADER, 1)
            _ = collector_curl_set_long(handle, CURLOPT_HTTP_VERSION, 2)
            _ = collector_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(answer).toOpaque())
            _ = collector_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                guard let bytes, let context else { return 0 }
                let answer = Unmanaged<Answer>.fromOpaque(context).takeUnretainedValue()
                let taken = min(size * count, PortProbe.maxAnswerBytes - answer.bytes.count)
                answer.bytes += UnsafeRawBufferPointer(start: bytes, count: taken)
                // A lower number ends the transfer.
                return taken
            }
        }
        return Self.isAnswerWithoutTLS(String(decoding: answer.bytes, as: UTF8.self))
    }

    /// Returns true for an answer of HTTP/1.1, unless it says that TLS is wanted: servers of TLS say so by 400 or by a redirect. A fault of
    /// the server (5xx) is no proof either: a proxy has it while a backend with TLS is down.
    static func isAnswerWithoutTLS(_ answer: String) -> Bool {
        guard answer.hasPrefix("HTTP/1.") else { return false }
        let status = answer.drop { $0 != " " }.dropFirst()
        let text = answer.lowercased()
        return !status.hasPrefix("5")
            && !((status.hasPrefix("400") || status.hasPrefix("3"))
                && ["https", "tls", "ssl"].contains { text.contains($0) })
    }

    // MARK: One connection

    /// - Parameter host: The host of the URL, if it is not the endpoint's.
    private func perform(
        _ scheme: String, host: String? = nil, _ configure: (UnsafeMutableRawPointer) -> Void
    ) -> (result: CURLcode, words: String) {
        let milliseconds = deadline.milliseconds(from: Clock.system.monotonic())
        guard milliseconds > 0, let target = endpoint.hostAndPort, let handle = curl_easy_init() else {
            return (CURLE_OPERATION_TIMEDOUT, "")
        }
        defer { curl_easy_cleanup(handle) }
        let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(to: 0)
        defer { errorText.deallocate() }
        _ = collector_curl_set_string(handle, CURLOPT_URL, "\(scheme)://\(host ?? target.host):\(target.port)/")
        _ = collector_curl_set_string(handle, CURLOPT_PROXY, "")
        _ = collector_curl_set_string(handle, CURLOPT_NOPROXY, "")
        _ = collector_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        _ = collector_curl_set_long(handle, CURLOPT_QUICK_EXIT, 1)
        _ = collector_curl_set_long(handle, CURLOPT_TIMEOUT_MS, Int(milliseconds))
        _ = collector_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        configure(handle)
        let result = curl_easy_perform(handle)
        return (result, String(cString: errorText))
    }
}
