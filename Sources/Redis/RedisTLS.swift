import CTLS
import Glibc
import Model
import Platform
import TLSFiles

/// The options of TLS to Redis, as `redis.tls.*` configures it. Paths are of PEM files.
package struct RedisTLSOptions: Sendable, Equatable {
    /// The certificate authorities; nil for the system's store.
    package var caFile: String?
    package var certificateFile: String?
    package var keyFile: String?
    /// The name that the server's certificate has to bear, where that differs from the host of the url.
    package var serverName: String?
    /// True if any certificate is accepted. A peer in between can then read and change all.
    package var skipsVerification = false

    package init() {}

    fileprivate var files: TLSFiles {
        TLSFiles(section: "redis.tls", caFile: caFile, certificateFile: certificateFile, keyFile: keyFile)
    }

    /// The fault of the files, or nil where all of them can be read.
    package var problem: String? { files.problem }
}

/// OpenSSL's context: the authorities and the collector's own certificate, read once.
///
/// Guard of the `@unchecked Sendable`: written in `init` only; OpenSSL counts references to it with atomics.
final class TLSContext: @unchecked Sendable {
    fileprivate let context: OpaquePointer
    private let options: RedisTLSOptions

    /// Reads the files.
    /// - Throws: `RedisError` with the file that could not be read, and what OpenSSL says of it.
    init(_ options: RedisTLSOptions) throws(RedisError) {
        self.options = options
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw RedisError(OpenSSLError("making a TLS context"))
        }
        self.context = context
        _ = collector_tls_set_minimum(context)
        _ = collector_tls_set_modes(context)
        SSL_CTX_set_verify(context, options.skipsVerification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)
        do throws(OpenSSLError) {
            try options.files.load(into: context)
        } catch {
            throw RedisError(error)
        }
    }

    deinit {
        SSL_CTX_free(context)
    }

    /// Makes a session over a connected socket to the endpoint; the handshake is still to come.
    /// - Throws: `RedisError` where OpenSSL has no memory or refuses the name.
    func makeSession(_ descriptor: Int32, to endpoint: RedisEndpoint) throws(RedisError) -> TLSSession {
        guard let session = SSL_new(context), SSL_set_fd(session, descriptor) == 1 else {
            throw RedisError(OpenSSLError("making a TLS session"))
        }
        let name = options.serverName ?? endpoint.host
        let wrapped = TLSSession(session, peer: endpoint.name, expectedName: name)
        if IPAddress(name) != nil {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name)
        } else {
            _ = collector_tls_set_server_name(session, name)
            SSL_set1_host(session, name)
            // Only a name in subjectAltName counts, as for the Go clients of the same Redis.
            SSL_set_hostflags(session, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
        }
        return wrapped
    }
}

/// One TLS session. One thread at a time uses it; the socket under it belongs to the connection.
final class TLSSession {
    private let session: OpaquePointer
    private let peer: String
    private let expectedName: String

    static let plainHint = "if that is a plain port, write redis for rediss in redis.url"

    /// SSL_R_UNEXPECTED_EOF_WHILE_READING, which OpenSSL 1.1 lacks, and the reason's part of an error that both have.
    private static let unexpectedEnd: UInt = 294
    private static let reasonMask: UInt = 0xFFF

    fileprivate init(_ session: OpaquePointer, peer: String, expectedName: String) {
        self.session = session
        self.peer = peer
        self.expectedName = expectedName
    }

    deinit {
        SSL_free(session)
    }

    /// Takes one step of the handshake. Returns what to wait for, or that it is done.
    /// - Throws: `RedisError` where the handshake fails, with the reason.
    func handshake() throws(RedisError) -> StreamProgress {
        ERR_clear_error()
        let code = SSL_connect(session)
        if code == 1 { return .bytes(0) }
        do throws(RedisError) {
            return try progress(code, "TLS handshake with \(peer)")
        } catch {
            let isNoTLS = ["wrong version number", "packet length too long", "unknown protocol", "http request"]
                .contains(where: error.message.contains)
            if isNoTLS { throw error.adding(Self.plainHint) }
            // The certificate is checked in the midst of the handshake, which goes on where verification is off. The
            // result tells why a handshake failed, not that it has failed.
            let verification = SSL_get_verify_result(session)
            if SSL_get_verify_mode(session) == SSL_VERIFY_NONE || verification == X509_V_OK { throw error }
            throw refusal(verification)
        }
    }

    /// Returns OpenSSL's objection to the certificate, and the settings that decide about it.
    private func refusal(_ verification: Int) -> RedisError {
        let reason = String(cString: X509_verify_cert_error_string(verification))
        let isOfName = [X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH].contains(Int32(verification))
        let hint =
            isOfName
            ? "its subjectAltName has to hold \(expectedName), its common name does not count; redis.tls.server-name "
                + "sets the name that is expected"
            : "checked against redis.tls.ca-file, or the system's authorities, and for the name \(expectedName) "
                + "(redis.tls.server-name)"
        return RedisError(.tls, "\(peer): the server's certificate is not accepted: \(reason); \(hint)")
    }

    /// Sends as many bytes as the socket takes.
    /// - Throws: `RedisError` where the session fails.
    func send(_ bytes: UnsafeRawBufferPointer) throws(RedisError) -> StreamProgress {
        ERR_clear_error()
        let code = SSL_write(session, bytes.baseAddress, Int32(clamping: bytes.count))
        return code > 0 ? .bytes(Int(code)) : try progress(code, "sending by TLS")
    }

    /// Receives as many bytes as are there and fit.
    /// - Throws: `RedisError` where the session fails.
    func receive(_ buffer: UnsafeMutableRawBufferPointer) throws(RedisError) -> StreamProgress {
        ERR_clear_error()
        let code = SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count))
        return code > 0 ? .bytes(Int(code)) : try progress(code, "reading by TLS")
    }

    /// True if bytes are decrypted already, of which the socket knows nothing.
    var hasPendingBytes: Bool { SSL_pending(session) > 0 }

    private func progress(_ code: Int32, _ what: String) throws(RedisError) -> StreamProgress {
        switch SSL_get_error(session, code) {
        case SSL_ERROR_WANT_READ: return .wait(Int16(POLLIN))
        case SSL_ERROR_WANT_WRITE: return .wait(Int16(POLLOUT))
        case SSL_ERROR_ZERO_RETURN: return .closed
        // The connection ended before the session: by a reset, or as OpenSSL 1.1 and 3 report it.
        case SSL_ERROR_SYSCALL where [0, ECONNRESET, EPIPE].contains(errno): return .closed
        case SSL_ERROR_SSL where ERR_peek_error() & Self.reasonMask == Self.unexpectedEnd: return .closed
        default: throw RedisError(OpenSSLError(what))
        }
    }
}

/// The result of a step on a non-blocking stream.
enum StreamProgress {
    case bytes(Int)
    /// The step needs one of these events first.
    case wait(Int16)
    case closed
}

extension RedisError {
    fileprivate init(_ error: OpenSSLError) {
        self.init(.tls, error.message)
    }
}
