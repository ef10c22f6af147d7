package import CCurl
import Model

/// One request of libcurl: owns its handle, the body that is sent and the answer that is collected. Lives on the
/// thread of its `CurlMulti` only.
package final class CurlTransfer {
    /// The bytes of an answer that are kept: a status and its message fit by far.
    private static let maxAnswerBytes = 64 << 10
    /// A name's address is asked for again after this, and a connection, however busy, is closed: a name that moves to
    /// another address is followed within the sum of both, also where the old address goes on answering.
    private static let addressSeconds = 10
    private static let connectionSeconds = 30
    private static let uploadBytes = 512 << 10

    package let handle: UnsafeMutableRawPointer
    private let body: UnsafeMutableRawBufferPointer
    private let headers: UnsafeMutablePointer<curl_slist>?
    private let connectTo: UnsafeMutablePointer<curl_slist>?
    package let endpoint: OTLPEndpoint
    private let proxy: ProxyRules.Proxy?
    private let hasEncodedHeader: Bool
    private var resolve: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    fileprivate var answerBody: [UInt8] = []

    /// The bytes that it holds in memory: the body, and libcurl's buffer for sending it.
    package var heldBytes: Int { body.count + Self.uploadBytes }
    fileprivate var isAnswerCut = false

    /// Makes a request; returns nil when libcurl has no memory for a handle.
    ///
    /// - Parameter address: The address that is used in place of a look-up of the endpoint's name.
    package init?(
        _ backend: OTLPBackend, body bytes: [UInt8], contentEncoding: String?, address: LastAddress? = nil,
        onConnectionOfItsOwn: Bool = false
    ) {
        guard let handle = curl_easy_init() else { return nil }
        var backend = backend
        if let reread = backend.reread { (backend.endpoint, backend.headers) = reread() }
        self.handle = handle
        endpoint = backend.endpoint
        proxy = endpoint.hostAndPort.flatMap {
            backend.proxies.proxy(forScheme: backend.endpoint.scheme, host: $0.host, port: $0.port)
        }
        hasEncodedHeader = backend.headers.contains { Self.isPercentEncoded($0.value) }
        body = .allocate(byteCount: bytes.count, alignment: 1)
        body.copyBytes(from: bytes)
        errorText.initialize(to: 0)
        headers = Self.headerList(backend, contentEncoding)
        connectTo = backend.endpoint.substitution.flatMap { curl_slist_append(nil, $0.connectTo) }
        configure(backend)
        if let address { connect(to: address) }
        if onConnectionOfItsOwn {
            _ = collector_curl_set_long(handle, CURLOPT_FRESH_CONNECT, 1)
            _ = collector_curl_set_long(handle, CURLOPT_FORBID_REUSE, 1)
        }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headers)
        curl_slist_free_all(connectTo)
        curl_slist_free_all(resolve)
        body.deallocate()
        errorText.deallocate()
    }

    /// Returns true for text with a percent sign before two hexadecimal digits, as OTEL_EXPORTER_OTLP_HEADERS has them.
    static func isPercentEncoded(_ text: String) -> Bool {
        text.split(separator: "%", omittingEmptySubsequences: false).dropFirst().contains {
            $0.utf8.prefix(2).count == 2 && $0.prefix(2).allSatisfy(\.isHexDigit)
        }
    }

    private static func headerList(
        _ backend: OTLPBackend, _ contentEncoding: String?
    ) -> UnsafeMutablePointer<curl_slist>? {
        var lines = ["Content-Type: application/x-protobuf", "Expect:", "Accept:"]
        if let contentEncoding { lines.append("Content-Encoding: \(contentEncoding)") }
        if let host = backend.endpoint.substitution?.host,
            !backend.headers.contains(where: { $0.name.lowercased() == "host" })
        {
            lines.append("Host: \(host)")
        }
        lines += backend.headers.map { "\($0.name): \($0.value)" }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        return list
    }

    private func configure(_ backend: OTLPBackend) {
        let endpoint = backend.endpoint
        // A request without a URL ends at once, unsent: what its proxy should be is not known.
        if proxy?.problem == nil {
            _ = collector_curl_set_string(handle, CURLOPT_URL, endpoint.substitution?.url ?? endpoint.url)
        }
        _ = collector_curl_set_pointer(handle, CURLOPT_CONNECT_TO, connectTo)
        // An empty text means no proxy. Without one, libcurl would read the environment by rules of its own.
        _ = collector_curl_set_string(handle, CURLOPT_PROXY, proxy?.url ?? "")
        _ = collector_curl_set_string(handle, CURLOPT_NOPROXY, "")
        backend.tls.configure(handle)
        _ = collector_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        _ = collector_curl_set_string(handle, CURLOPT_USERAGENT, backend.userAgent)
        _ = collector_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
        _ = collector_curl_set_long(handle, CURLOPT_DNS_CACHE_TIMEOUT, Self.addressSeconds)
        _ = collector_curl_set_long(handle, CURLOPT_MAXLIFETIME_CONN, Self.connectionSeconds)
        // A name server that hangs must not hold up the end of the program.
        _ = collector_curl_set_long(handle, CURLOPT_QUICK_EXIT, 1)
        // Signals belong to the main thread.
        _ = collector_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        // 2 is CURL_HTTP_VERSION_1_1: Tempo speaks no HTTP/2 without TLS.
        _ = collector_curl_set_long(handle, CURLOPT_HTTP_VERSION, 2)
        _ = collector_curl_set_long(handle, CURLOPT_POST, 1)
        _ = collector_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
        _ = collector_curl_set_pointer(handle, CURLOPT_POSTFIELDS, body.baseAddress)
        // Each piece costs libcurl two polls; by itself it takes 64 KiB.
        _ = collector_curl_set_long(handle, CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBytes)
        // 0 would mean no limit.
        _ = collector_curl_set_long(
            handle, CURLOPT_TIMEOUT_MS, max(1, Int(backend.timeout.wholeNanoseconds / 1_000_000)))
        _ = collector_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        _ = collector_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(self).toOpaque())
        _ = collector_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            let taken = min(size * count, CurlTransfer.maxAnswerBytes - transfer.answerBody.count)
            transfer.answerBody += UnsafeRawBufferPointer(start: bytes, count: taken)
            // A lower number ends the transfer: an answer without end would be read until the time is over.
            if taken < size * count { transfer.isAnswerCut = true }
            return taken
        }
    }

    /// True if the request goes through a proxy, whose failures say nothing of the endpoint's port.
    var hasProxy: Bool { proxy != nil }

    /// True if an address is used in place of a look-up.
    package var hasAddress: Bool { resolve != nil }

    /// Uses an address in place of a look-up from now on, unless it is of another endpoint.
    package func connect(to address: LastAddress) {
        guard resolve == nil, address.endpoint == endpoint, let entry = address.resolveEntry else { return }
        resolve = curl_slist_append(nil, entry)
        _ = collector_curl_set_pointer(handle, CURLOPT_RESOLVE, resolve)
    }

    /// Returns the answer, once libcurl says that the request is done with `result`.
    package func answer(_ result: CURLcode) -> OTLPAnswer {
        var answer = OTLPAnswer()
        guard result == CURLE_OK || result == CURLE_WRITE_ERROR && isAnswerCut || isRefusal(result) else {
            answer.failure = failure(result)
            return answer
        }
        answer.status = number(CURLINFO_RESPONSE_CODE)
        answer.body = answerBody
        answer.isCut = isAnswerCut || result != CURLE_OK
        answer.contentType = text(CURLINFO_CONTENT_TYPE)
        answer.retryAfterSeconds = retryAfterSeconds
        answer.proxyVariable = proxy?.variable
        answer.hasEncodedHeader = hasEncodedHeader
        if (300..<400).contains(answer.status), let location = collector_curl_header(handle, "Location") {
            let location = String(cString: location)
            // libcurl turns an empty value into a blank.
            answer.hasLocation = location.contains { !$0.isWhitespace }
            answer.redirect = endpoint.shownRedirect(to: location)
        }
        if proxy == nil { answer.lastAddress = LastAddress(endpoint: endpoint, address: text(CURLINFO_PRIMARY_IP)) }
        return answer
    }

    /// Returns true where the body of an answer did not come to its end, but the status says enough: too many requests, or a fault of the
    /// backend. What other statuses mean, the body tells.
    private func isRefusal(_ result: CURLcode) -> Bool {
        let status = number(CURLINFO_RESPONSE_CODE)
        let isOfBackend = [0, 200].contains(number(CURLINFO_HTTP_CONNECTCODE))
        return result != CURLE_OUT_OF_MEMORY && isOfBackend && (status == 429 || (500..<600).contains(status))
    }

    private var retryAfterSeconds: UInt64 {
        var seconds: curl_off_t = 0
        _ = collector_curl_get_offset(handle, CURLINFO_RETRY_AFTER, &seconds)
        if seconds > 0 { return UInt64(seconds) }
        return collector_curl_header(handle, "Retry-After").map { OTLPAnswer.seconds(String(cString: $0)) } ?? 0
    }

    private func failure(_ result: CURLcode) -> TransferFailure {
        if let proxy, let problem = proxy.problem { return .invalidProxy(proxy.variable, problem) }
        var sentBytes: curl_off_t = 0
        _ = collector_curl_get_offset(handle, CURLINFO_SIZE_UPLOAD_T, &sentBytes)
        let detail = String(cString: errorText)
        // A lack of memory after an answer has begun is libcurl's name for a header line beyond its limit.
        if result == CURLE_OUT_OF_MEMORY && number(CURLINFO_RESPONSE_CODE) > 0 {
            return .oversizedHeader(endpoint.signal)
        }
        return TransferFailure(
            result, for: endpoint.signal,
            text: detail.isEmpty ? String(cString: curl_easy_strerror(result)) : detail,
            sentBytes: Int(sentBytes), connectStatus: number(CURLINFO_HTTP_CONNECTCODE), proxyVariable: proxy?.variable)
    }

    private func number(_ info: CURLINFO) -> Int {
        var number = 0
        _ = collector_curl_get_long(handle, info, &number)
        return number
    }

    private func text(_ info: CURLINFO) -> String {
        var text: UnsafePointer<CChar>?
        _ = collector_curl_get_string(handle, info, &text)
        return text.map { String(cString: $0) } ?? ""
    }
}
