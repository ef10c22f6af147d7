import CCurl

/// libcurl's parsed form of a URL.
final class CurlURL {
    private let handle: OpaquePointer

    /// - Throws: `Invalid` with libcurl's words, which quote nothing of `text`.
    init(_ text: String, _ flags: Int32 = 0) throws(OTLPEndpoint.Invalid) {
        guard let handle = curl_url() else { throw OTLPEndpoint.Invalid(problem: "no memory") }
        self.handle = handle
        try set(CURLUPART_URL, text, flags)
    }

    deinit {
        curl_url_cleanup(handle)
    }

    func part(_ part: CURLUPart, _ flags: Int32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        defer { curl_free(text) }
        guard curl_url_get(handle, part, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
        return String(cString: text)
    }

    /// Replaces a part; a relative URL is one of the URL that it replaces.
    /// - Throws: `Invalid` with libcurl's words, which quote nothing of `text`.
    func set(_ part: CURLUPart, _ text: String?, _ flags: Int32 = 0) throws(OTLPEndpoint.Invalid) {
        let code = curl_url_set(handle, part, text, UInt32(flags))
        if code != CURLUE_OK { throw OTLPEndpoint.Invalid(problem: String(cString: curl_url_strerror(code))) }
    }
}
