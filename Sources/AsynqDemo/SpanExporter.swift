import CCurl

/// Sends span batches to a collector's unix socket by OTLP/HTTP, as an SDK would: in batches, kept and sent again when
/// the collector says so.
final class SpanExporter {
    private static let maxQueued = 10_000

    private let handle: UnsafeMutableRawPointer
    private let headers: UnsafeMutablePointer<curl_slist>?
    private let service: String
    private var queued: [DemoSpan] = []
    /// The number of spans that did not fit into the queue, or that the collector refused permanently.
    private(set) var lostSpans = 0

    init?(socket: String, bearerToken: String?, service: String) {
        guard let handle = curl_easy_init() else { return nil }
        self.handle = handle
        self.service = service
        var list: UnsafeMutablePointer<curl_slist>?
        let authorization = bearerToken.map { ["Authorization: Bearer \($0)"] } ?? []
        for line in ["Content-Type: application/x-protobuf", "Expect:"] + authorization {
            list = curl_slist_append(list, line) ?? list
        }
        headers = list
        _ = collector_curl_set_string(handle, CURLOPT_URL, "http://localhost/v1/traces")
        _ = collector_curl_set_string(handle, CURLOPT_UNIX_SOCKET_PATH, socket)
        _ = collector_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
        _ = collector_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        _ = collector_curl_set_long(handle, CURLOPT_POST, 1)
        _ = collector_curl_set_long(handle, CURLOPT_TIMEOUT_MS, 2000)
        // The answer's body is not needed.
        _ = collector_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { _, size, count, _ in size * count }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headers)
    }

    func add(_ span: DemoSpan) {
        if queued.count >= Self.maxQueued {
            lostSpans += 1
        } else {
            queued.append(span)
        }
    }

    /// Sends the queue. Spans that are refused for now stay in it.
    func flush() {
        while !queued.isEmpty && sendBatch() {}
    }

    /// Sends one batch. Returns false when the collector can't take spans now.
    private func sendBatch() -> Bool {
        let batch = Array(queued.prefix(512))
        var body = DemoSpan.request(service: service, batch)
        let code = body.withUnsafeMutableBytes { bytes in
            _ = collector_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
            _ = collector_curl_set_pointer(handle, CURLOPT_POSTFIELDS, bytes.baseAddress)
            return curl_easy_perform(handle)
        }
        var status = 0
        _ = collector_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        if code != CURLE_OK || [429, 502, 503, 504].contains(status) { return false }
        if status != 200 { lostSpans += batch.count }
        queued.removeFirst(batch.count)
        return true
    }
}
