import HTTPService
import SpanReceiver

/// `otlp.*`: how spans come in.
struct OTLPKeys: KeySection {
    static let title = "Receiving spans"

    let socket = Key(
        "otlp.socket", .socket, default: "/run/asynq-collector/otlp.sock", example: "@otlp",
        help: "unix socket for spans (@name: abstract), or none")
    let socketMode = Key("otlp.socket-mode", .fileMode, default: "0660", example: "0600", help: "its mode, octal")
    let socketGroup = Key("otlp.socket-group", .text, default: "", example: "workers", help: "its group")
    let listen = Key(
        "otlp.listen", .listenAddresses(orNone: true), default: "127.0.0.1:4317,127.0.0.1:4318",
        example: "0.0.0.0:4318",
        help: "TCP addresses for spans, or none")
    let bearerToken = Key(
        "otlp.bearer-token", .secret, default: "", example: "swordfish", help: "required of every OTLP request when set"
    )
    let allowedOrigins = Key(
        "otlp.cors.allowed-origins", .origins, default: "", example: "https://shop.example.com",
        help: "origins whose pages may send spans, or *; for browsers")
    let allowedHeaders = Key(
        "otlp.cors.allowed-headers", .list, default: "", example: "x-tenant",
        help: "request headers that they may send beside those of OTLP, or *")
    let maxBody = Key(
        "otlp.max-body", .size(1024...largestRequest), default: "16MiB", example: "64MiB",
        help: "largest request, after decompression", isReloadable: true)
}

/// The largest request that can be configured, in or out, in bytes: it is held in memory whole.
let largestRequest = 256 << 20

extension ReceiverOptions {
    init(_ settings: Settings) {
        self.init(
            maxBodyBytes: settings[\.otlp.maxBody], bearerToken: settings[\.otlp.bearerToken],
            cors: CORSPolicy(origins: settings[\.otlp.allowedOrigins], headers: settings[\.otlp.allowedHeaders]))
        if let token = settings.secret(\.otlp.bearerToken) { rereadBearerToken = { token.current } }
    }
}

extension ValueForm where Value == ListenAddress? {
    /// An absolute path, or `none`, which is nil.
    fileprivate static var socket: Self {
        let allowed = "an absolute path, @name for an abstract socket, or none"
        return Self(.text(allowed: allowed)) { text throws(UnacceptableText) in
            if text == "none" { return nil }
            do throws(ListenAddress.Invalid) {
                let isURL = text.hasPrefix("unix:")
                return isURL ? try ListenAddress(text) : .unix(path: try ListenAddress.unixPath(text))
            } catch {
                throw UnacceptableText("allowed is \(allowed)")
            }
        }
    }
}

extension ValueForm where Value == UInt32 {
    fileprivate static var fileMode: Self {
        Self(.text(allowed: "an octal mode from 0000 to 0777")) { text in
            UInt32(text, radix: 8).flatMap { $0 <= 0o777 ? $0 : nil }
        }
    }
}

extension ValueForm where Value == [OriginPattern] {
    fileprivate static var origins: Self {
        let allowed = "scheme://host, scheme://host:port, scheme://*.domain for its subdomains, null, or *"
        return Self(.list(allowed: allowed)) { text throws(UnacceptableText) in
            let texts = ValueParsing.list(text)
            let wrong = texts.filter { OriginPattern($0) == nil }
            if !wrong.isEmpty { throw UnacceptableText(wrong.map { "\($0): allowed is \(allowed)" }) }
            return texts.compactMap(OriginPattern.init)
        }
    }
}
