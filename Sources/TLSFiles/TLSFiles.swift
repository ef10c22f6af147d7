import CTLS
import Glibc

/// The PEM files of a TLS client: the authorities that it trusts, and its own certificate and key. An encrypted key is
/// refused, because OpenSSL would ask the terminal for its password.
package struct TLSFiles: Sendable {
    /// The section of the settings that names the files, such as `redis.tls`, for error messages.
    private let section: String
    private let caFile: String?
    private let certificateFile: String?
    private let keyFile: String?

    /// - Parameters:
    ///   - caFile: The certificate authorities; nil for the system's store.
    ///   - keyFile: The key; nil where the certificate's file holds it, too.
    package init(section: String, caFile: String?, certificateFile: String?, keyFile: String?) {
        self.section = section
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    /// - Throws: `OpenSSLError` with the file that could not be read, and what OpenSSL says of it.
    package func load(into context: OpaquePointer) throws(OpenSSLError) {
        let wantsPassword = UnsafeMutablePointer<Bool>.allocate(capacity: 1)
        wantsPassword.initialize(to: false)
        SSL_CTX_set_default_passwd_cb_userdata(context, wantsPassword)
        defer {
            SSL_CTX_set_default_passwd_cb_userdata(context, nil)
            wantsPassword.deallocate()
        }
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, wantsPassword in
            wantsPassword?.assumingMemoryBound(to: Bool.self).pointee = true
            return 0
        }
        ERR_clear_error()
        if let caFile {
            // Each certificate in the file is trusted, also one that another authority has signed.
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
            if SSL_CTX_load_verify_locations(context, caFile, nil) != 1 {
                throw OpenSSLError("reading \(section).ca-file \(caFile)")
            }
        } else if SSL_CTX_set_default_verify_paths(context) != 1 {
            throw OpenSSLError("reading the system's certificate authorities")
        }
        guard let certificateFile else { return }
        if SSL_CTX_use_certificate_chain_file(context, certificateFile) != 1 {
            throw OpenSSLError("reading \(section).cert-file \(certificateFile)")
        }
        let key = keyFile ?? certificateFile
        if SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 {
            if wantsPassword.pointee {
                let setting = keyFile == nil ? "\(section).cert-file" : "\(section).key-file"
                throw OpenSSLError(
                    message:
                        "reading \(setting) \(key): the key is encrypted, and there is no password for it; "
                        + "write it without one: openssl pkey -in \(key) -out NEW")
            }
            throw OpenSSLError("reading \(section).key-file \(key)")
        }
    }

    /// The fault of the files, or nil where all of them can be read.
    package var problem: String? {
        guard let context = SSL_CTX_new(TLS_client_method()) else { return "no memory for TLS" }
        defer { SSL_CTX_free(context) }
        do throws(OpenSSLError) {
            try load(into: context)
            return nil
        } catch {
            return error.message
        }
    }
}

/// A call of OpenSSL that failed: the action, and what OpenSSL says of it.
package struct OpenSSLError: Error {
    package let message: String

    fileprivate init(message: String) {
        self.message = message
    }

    /// Takes the oldest error that OpenSSL recorded in this thread; else errno.
    package init(_ what: String) {
        message = "\(what): \(Self.takeText())"
    }

    private static func takeText() -> String {
        let code = ERR_get_error()
        if code == 0 { return String(cString: strerror(errno)) }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        ERR_clear_error()
        let whole = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The text has this form: error:80000002:system library::No such file or directory
        guard whole.contains(":system library:"), let colon = whole.lastIndex(of: ":") else { return whole }
        return String(whole[whole.index(after: colon)...])
    }
}
