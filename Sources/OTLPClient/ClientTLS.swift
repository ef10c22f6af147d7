import CCurl
import TLSFiles

/// TLS to a backend, as `tempo.tls.*` or `metrics.push.tls.*` configures it. Paths are of PEM files; libcurl reads them with each new
/// connection, so that a renewed certificate takes effect by itself.
package struct ClientTLS: Sendable, Equatable {
    private let signal: OTLPSignal
    /// The certificate authorities; nil for the system's store.
    package var caFile: String?
    package var certificateFile: String?
    /// The key; nil where the certificate's file holds it, too.
    package var keyFile: String?
    /// True if any certificate is accepted. A peer in between can then read and change all.
    package var skipsVerification = false

    package init(for signal: OTLPSignal) {
        self.signal = signal
    }

    /// The fault of the files, or nil where all of them can be read. libcurl itself would report it with the first
    /// request only.
    package var problem: String? {
        TLSFiles(
            section: signal.section + ".tls", caFile: caFile, certificateFile: certificateFile, keyFile: keyFile
        ).problem
    }

    /// The seconds for which libcurl keeps the authorities that it has read; its own default is a day.
    private static let authorityCacheSeconds = 300

    func configure(_ handle: UnsafeMutableRawPointer) {
        if let caFile {
            _ = collector_curl_set_string(handle, CURLOPT_CAINFO, caFile)
            // Without this the system's directory of authorities would be asked as well.
            _ = collector_curl_set_string(handle, CURLOPT_CAPATH, nil)
        }
        if let certificateFile {
            _ = collector_curl_set_string(handle, CURLOPT_SSLCERT, certificateFile)
            _ = collector_curl_set_string(handle, CURLOPT_SSLKEY, keyFile ?? certificateFile)
            // Without this OpenSSL would ask the terminal for the password of an encrypted key.
            _ = collector_curl_set_string(handle, CURLOPT_KEYPASSWD, "")
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
