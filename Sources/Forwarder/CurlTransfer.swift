import CCurl
import Model

/// One request of libcurl: owns its handle, the body that is sent and the answer that is collected. Lives on the
/// forwarder's thread only.
final class CurlTransfer {
    /// More of an answer is not kept: a status and its message fit by far.
    private static let maxAnswerBytes = 64 << 10
    /// A name's address is asked for again after this, and a connection, however busy, is given up: a name that moves to
    /// another address is followed within the sum of both, also where the old address goes on answering.
    private static let addressSeconds = 10
    private static let connectionSeconds = 30

    let handle: UnsafeMutableRawPointer
    private let body: UnsafeMutableRawBufferPointer
    private let headers: UnsafeMutablePointer<curl_slist>?
    private let connectTo: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    fileprivate var answerBody: [UInt8] = []
    fileprivate var isAnswerCut = false

    /// nil when libcurl has no memory for a handle.
    init?(
        _ options: ForwarderOptions, body bytes: [UInt8], contentEncoding: String?, onConnectionOfItsOwn: Bool = false
    ) {
        guard let handle = curl_easy_init() else { return nil }
        var options = options
        if let reread = options.reread { (options.endpoint, options.headers) = reread() }
        self.handle = handle
        body = .allocate(byteCount: bytes.count, alignment: 1)
        body.copyBytes(from: bytes)
        errorText.initialize(to: 0)
        headers = Self.headerList(options, contentEncoding)
        connectTo = options.endpoint.substitution.flatMap { curl_slist_append(nil, $0.connectTo) }
        configure(options)
        if onConnectionOfItsOwn {
            _ = collector_curl_set_long(handle, CURLOPT_FRESH_CONNECT, 1)
            _ = collector_curl_set_long(handle, CURLOPT_FORBID_REUSE, 1)
        }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headers)
        curl_slist_free_all(connectTo)
        body.deallocate()
        errorText.deallocate()
    }

    private static func headerList(
        _ options: ForwarderOptions, _ contentEncoding: String?
    ) -> UnsafeMutablePointer<curl_slist>? {
        var lines = ["Content-Type: application/x-protobuf", "Expect:", "Accept:"]
        if let contentEncoding { lines.append("Content-Encoding: \(contentEncoding)") }
        if let host = options.endpoint.substitution?.host,
            !options.headers.contains(where: { $0.name.lowercased() == "host" })
        {
            lines.append("Host: \(host)")
        }
        lines += options.headers.map { "\($0.name): \($0.value)" }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        return list
    }

    private func configure(_ options: ForwarderOptions) {
        let endpoint = options.endpoint
        _ = collector_curl_set_string(handle, CURLOPT_URL, endpoint.substitution?.url ?? endpoint.url)
        _ = collector_curl_set_pointer(handle, CURLOPT_CONNECT_TO, connectTo)
        options.tls.configure(handle)
        _ = collector_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        _ = collector_curl_set_string(handle, CURLOPT_USERAGENT, options.userAgent)
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
        // 0 would mean no limit.
        _ = collector_curl_set_long(
            handle, CURLOPT_TIMEOUT_MS, max(1, Int(options.timeout.wholeNanoseconds / 1_000_000)))
        _ = collector_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        _ = collector_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(self).toOpaque())
        _ = collector_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            let room = max(0, CurlTransfer.maxAnswerBytes - transfer.answerBody.count)
            if size * count > room { transfer.isAnswerCut = true }
            transfer.answerBody += UnsafeRawBufferPointer(start: bytes, count: min(size * count, room))
            return size * count
        }
    }

    /// What came of it, once libcurl says that it is done with `result`.
    func answer(_ result: CURLcode) -> ForwardAnswer {
        var answer = ForwardAnswer()
        guard result == CURLE_OK else {
            let detail = String(cString: errorText)
            answer.failureText = detail.isEmpty ? String(cString: curl_easy_strerror(result)) : detail
            (answer.failureLabel, answer.failure) = failure(result)
            return answer
        }
        var status = 0
        _ = collector_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        var retryAfter: curl_off_t = 0
        _ = collector_curl_get_offset(handle, CURLINFO_RETRY_AFTER, &retryAfter)
        answer.status = status
        answer.body = answerBody
        answer.isCut = isAnswerCut
        var contentType: UnsafePointer<CChar>?
        _ = collector_curl_get_string(handle, CURLINFO_CONTENT_TYPE, &contentType)
        answer.contentType = contentType.map { String(cString: $0) } ?? ""
        answer.retryAfterSeconds = UInt64(clamping: retryAfter)
        return answer
    }

    private func failure(_ result: CURLcode) -> (label: String, ForwardAnswer.Failure) {
        var connectStatus = 0
        _ = collector_curl_get_long(handle, CURLINFO_HTTP_CONNECTCODE, &connectStatus)
        // A proxy that makes no tunnel: it won't (407, 403), or it can't, because Tempo is away.
        if connectStatus >= 400 { return ("proxy", connectStatus < 500 ? .untrusted : .unreachable) }
        var sentBytes: curl_off_t = 0
        _ = collector_curl_get_offset(handle, CURLINFO_SIZE_UPLOAD_T, &sentBytes)
        let later: ForwardAnswer.Failure = sentBytes > 0 ? .unanswered : .unreachable
        switch result {
        case CURLE_OPERATION_TIMEDOUT: return ("timeout", later)
        case CURLE_COULDNT_CONNECT: return ("connect", .unreachable)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return ("resolve", .unreachable)
        case CURLE_SSL_CONNECT_ERROR: return ("tls", .unreachable)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM: return ("tls", .untrusted)
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE: return ("broken", later)
        default: return ("error", later)
        }
    }
}
