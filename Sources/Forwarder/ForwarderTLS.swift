import CCurl
import CTLS

/// TLS to the trace backend, as `tempo.tls.*` configures it. Paths are of PEM files; libcurl reads them with each new
/// connection, so that a renewed certificate takes effect by itself.
package struct ForwarderTLS: Sendable, Equatable {
    /// Certificate authorities; the system's store without one.
    package var caFile: String?
    package var certificateFile: String?
    /// The certificate's file holds the key, too, without one.
    package var keyFile: String?
    /// Takes any certificate: no protection against somebody in between.
    package var skipsVerification = false

    package init() {}

    /// What is wrong with the files, if anything is. libcurl itself would say so with the first request only.
    package var problem: String? {
        guard let context = SSL_CTX_new(TLS_client_method()) else { return "no memory for TLS" }
        defer { SSL_CTX_free(context) }
        // An encrypted key is refused. OpenSSL would ask the terminal for the password.
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in 0 }
        ERR_clear_error()
        if let caFile, SSL_CTX_load_verify_locations(context, caFile, nil) != 1 {
            return Self.failure("tempo.tls.ca-file \(caFile)")
        }
        guard let certificateFile else { return nil }
        if SSL_CTX_use_certificate_chain_file(context, certificateFile) != 1 {
            return Self.failure("tempo.tls.cert-file \(certificateFile)")
        }
        let key = keyFile ?? certificateFile
        return SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1
            ? nil : Self.failure("tempo.tls.key-file \(key)")
    }

    /// The oldest error that OpenSSL noted in this thread.
    private static func failure(_ file: String) -> String {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return "reading \(file): "
            + String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Seconds for which libcurl keeps the authorities that it has read; its own default is a day.
    private static let authorityCacheSeconds = 300

    func configure(_ handle: UnsafeMutableRawPointer) {
        if let caFile {
            _ = collector_curl_set_string(handle, CURLOPT_CAINFO, caFile)
            // Or the system's directory of authorities would be asked as well.
            _ = collector_curl_set_string(handle, CURLOPT_CAPATH, nil)
        }
        if let certificateFile {
            _ = collector_curl_set_string(handle, CURLOPT_SSLCERT, certificateFile)
            _ = collector_curl_set_string(handle, CURLOPT_SSLKEY, keyFile ?? certificateFile)
        }
        // 6 is CURL_SSLVERSION_TLSv1_2: that version or a later one.
        _ = collector_curl_set_long(handle, CURLOPT_SSLVERSION, 6)
        _ = collector_curl_set_long(handle, CURLOPT_CA_CACHE_TIMEOUT, Self.authorityCacheSeconds)
        if skipsVerification {
            _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 0)
            _ = collector_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 0)
        }
    }
}
