import CCurl

/// Asks a collector's web endpoints, one request at a time, over a connection that is kept. It blocks, so it runs on
/// the main thread of a command, or on a thread of its own.
package final class WebClient {
    /// The largest answer. A document of 5,000 queues with their history takes a few megabytes.
    private static let maxAnswerBytes = 64 << 20

    package struct Answer: Sendable {
        package let status: Int
        package let body: [UInt8]
        /// The tag of the document; nil where the answer has none.
        package let etag: String?

        /// The first line of a text, for messages.
        package var firstLine: String {
            String(decoding: body.prefix { $0 != UInt8(ascii: "\n") }.prefix(200), as: UTF8.self)
        }
    }

    /// The credentials that the web endpoints ask for (`metrics.bearer-token`, `metrics.username` with
    /// `metrics.password`).
    package enum Credentials: Equatable, Sendable {
        case token(String)
        case user(String, password: String)
    }

    /// The reason why no answer came, without credentials.
    package struct Failure: Error, Equatable, Sendable {
        package let reason: String

        package init(_ reason: String) {
            self.reason = reason
        }
    }

    private let address: WebAddress
    private let token: String?
    private let handle: UnsafeMutableRawPointer
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var body: [UInt8] = []

    /// - Parameter credentials: The credentials, which are left out where the address has its own.
    /// - Throws: `Failure` where libcurl has no memory.
    package init(_ address: WebAddress, _ credentials: Credentials? = nil, timeout: Duration) throws(Failure) {
        guard let handle = curl_easy_init() else { throw Failure("libcurl has no memory for a handle") }
        self.address = address
        self.handle = handle
        let credentials = address.hasCredentials ? nil : credentials
        if case .token(let token)? = credentials { self.token = token } else { token = nil }
        if case .user(let name, let password)? = credentials {
            _ = collector_curl_set_string(handle, CURLOPT_USERNAME, name)
            _ = collector_curl_set_string(handle, CURLOPT_PASSWORD, password)
        }
        errorText.initialize(to: 0)
        if let socket = address.socket {
            let isAbstract = socket.hasPrefix("@")
            let option = isAbstract ? CURLOPT_ABSTRACT_UNIX_SOCKET : CURLOPT_UNIX_SOCKET_PATH
            _ = collector_curl_set_string(handle, option, isAbstract ? String(socket.dropFirst()) : socket)
        }
        _ = collector_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        // The empty list means every coding that libcurl can undo.
        _ = collector_curl_set_string(handle, CURLOPT_ACCEPT_ENCODING, "")
        // A collector is a neighbour, and a proxy of the environment leads elsewhere.
        _ = collector_curl_set_string(handle, CURLOPT_NOPROXY, "*")
        // Signals belong to the main thread.
        _ = collector_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        let (seconds, attoseconds) = timeout.components
        _ = collector_curl_set_long(
            handle, CURLOPT_TIMEOUT_MS, max(1, Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000)))
        _ = collector_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        _ = collector_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(self).toOpaque())
        _ = collector_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let client = Unmanaged<WebClient>.fromOpaque(context).takeUnretainedValue()
            // A number that differs from what came makes libcurl end the request.
            if client.body.count + size * count > WebClient.maxAnswerBytes { return 0 }
            client.body += UnsafeRawBufferPointer(start: bytes, count: size * count)
            return size * count
        }
    }

    deinit {
        curl_easy_cleanup(handle)
        errorText.deallocate()
    }

    /// Asks for a path that begins with a slash.
    ///
    /// - Parameter etag: The tag of the document that is known; the answer is 304 where it is still the same.
    /// - Throws: `Failure` with the reason why no answer came.
    package func get(_ path: String, unless etag: String? = nil) throws(Failure) -> Answer {
        body = []
        errorText.pointee = 0
        let headers = headerList(etag)
        defer {
            _ = collector_curl_set_pointer(handle, CURLOPT_HTTPHEADER, nil)
            curl_slist_free_all(headers)
        }
        _ = collector_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
        _ = collector_curl_set_string(handle, CURLOPT_URL, address.base + path)
        let code = curl_easy_perform(handle)
        guard code == CURLE_OK else {
            let detail = code == CURLE_WRITE_ERROR ? "the answer is too large" : String(cString: errorText)
            throw Failure(detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail)
        }
        var status = 0
        _ = collector_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        let answered = collector_curl_header(handle, "ETag").map { String(cString: $0) }
        return Answer(status: status, body: body, etag: answered)
    }

    private func headerList(_ etag: String?) -> UnsafeMutablePointer<curl_slist>? {
        let lines = [token.map { "Authorization: Bearer \($0)" }, etag.map { "If-None-Match: \($0)" }]
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines.compactMap(\.self) { list = curl_slist_append(list, line) ?? list }
        return list
    }
}
