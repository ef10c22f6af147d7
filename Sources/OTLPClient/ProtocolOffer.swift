import CCurl
import CTLS

/// The protocols that a TLS handshake offers (ALPN, RFC 7301), and the one that the server takes. libcurl offers what it can speak
/// itself, and does not say what was taken.
final class ProtocolOffer {
    private static let place = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nil, nil, nil, nil)

    /// Each name behind its length.
    private let protocols: [UInt8]
    /// The protocol that the server takes, as far as the handshake came; empty where it takes none.
    private(set) var taken = ""

    init(_ names: [String]) {
        protocols = names.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
    }

    /// Has the handshakes of a handle make this offer in place of libcurl's. It must live as long as the handle.
    func replaceOffer(of handle: UnsafeMutableRawPointer) {
        _ = collector_curl_set_long(handle, CURLOPT_SSL_ENABLE_ALPN, 0)
        _ = collector_curl_set_pointer(handle, CURLOPT_SSL_CTX_DATA, Unmanaged.passUnretained(self).toOpaque())
        _ = collector_curl_set_tls(handle, CURLOPT_SSL_CTX_FUNCTION) { _, context, offer in
            guard let context, let offer else { return CURLE_SSL_CONNECT_ERROR }
            Unmanaged<ProtocolOffer>.fromOpaque(offer).takeUnretainedValue().attach(to: OpaquePointer(context))
            return CURLE_OK
        }
    }

    private func attach(to context: OpaquePointer) {
        SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count))
        SSL_CTX_set_ex_data(context, Self.place, Unmanaged.passUnretained(self).toOpaque())
        // Called with each step: a handshake may fail after the server has named a protocol.
        SSL_CTX_set_info_callback(context) { session, _, _ in
            guard let session, let offer = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), ProtocolOffer.place) else {
                return
            }
            var name: UnsafePointer<UInt8>?
            var count: UInt32 = 0
            SSL_get0_alpn_selected(session, &name, &count)
            guard let name, count > 0 else { return }
            Unmanaged<ProtocolOffer>.fromOpaque(offer).takeUnretainedValue().taken =
                String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
        }
    }
}
