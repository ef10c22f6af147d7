import HTTPService
import Platform
import SpanReceiver

/// `otlp.*`: the reception of spans.
struct OTLPKeys: KeySection {
    static let title = "Receiving spans"
    static let page = "docs/RECEIVING.md"

    let socket = Key(
        "otlp.socket", .socket, default: "/run/asynq-collector/otlp.sock", example: "@otlp",
        help: """
            The unix socket that receives spans, by OTLP/HTTP and OTLP/gRPC: an absolute path, @NAME for an abstract socket, or none. \
            Workers on the same machine send here.
            """,
        page: "docs/RECEIVING.md#sockets")
    let socketMode = Key(
        "otlp.socket-mode", .fileMode, default: "0660", example: "0600",
        help: "The mode of the socket's file, in octal. Workers need write permission on it.",
        page: "docs/RECEIVING.md#sockets")
    let socketGroup = Key(
        "otlp.socket-group", .text, default: "", example: "workers",
        help: "The group of the socket's file, by name. Without it, the group that the collector runs as.",
        page: "docs/RECEIVING.md#sockets")
    let listen = Key(
        "otlp.listen", .listenAddresses(orNone: true), default: "127.0.0.1:4317,127.0.0.1:4318",
        example: "0.0.0.0:4318",
        help: """
            The TCP addresses that receive spans, each by OTLP/HTTP and OTLP/gRPC, or none. Workers on other machines need one \
            that they reach; set otlp.bearer-token then.
            """,
        page: "docs/RECEIVING.md#addresses")
    let bearerToken = Key(
        "otlp.bearer-token", .bearerToken, default: "", example: "swordfish",
        help:
            "The token that every OTLP request has to carry (Authorization: Bearer TOKEN). Without it, none is asked for.",
        page: "docs/RECEIVING.md#answers")
    let allowedOrigins = Key(
        "otlp.cors.allowed-origins", .origins, default: "", example: "https://shop.example.com",
        help: """
            The origins whose pages may send spans from a browser: exact ones, https://*.example.com for its subdomains, or * for \
            all. Without any, requests of browsers are refused.
            """,
        page: "docs/RECEIVING.md#browsers")
    let allowedHeaders = Key(
        "otlp.cors.allowed-headers", .list, default: "", example: "x-tenant",
        help: "Request headers that these pages may send besides those of OTLP, or * for all.",
        page: "docs/RECEIVING.md#browsers")
    let maxBody = Key(
        "otlp.max-body", .size(1024...largestRequest), default: "16MiB", example: "32MiB",
        help: """
            The largest request, after decompression. Larger ones are refused (413); let the sender make smaller batches. A small \
            memory.limit lowers the default.
            """,
        isReloadable: true, page: "docs/RECEIVING.md#limits")

    static let rules = [SettingRule.oneListenerEach]
}

/// The largest request that can be configured, in or out, in bytes: it is held in memory whole.
let largestRequest = 256 << 20

extension ReceiverOptions {
    init(_ settings: Settings, _ memory: MemoryLedger) {
        self.init(
            maxBodyBytes: min(settings[\.otlp.maxBody], memory.largestBody), bearerToken: settings[\.otlp.bearerToken],
            cors: CORSPolicy(origins: settings[\.otlp.allowedOrigins], headers: settings[\.otlp.allowedHeaders]))
        requestMemory.use(memory[.requests])
        if let token = settings.secret(\.otlp.bearerToken) { rereadBearerToken = { token.current } }
    }
}

extension ValueForm where Value == ListenAddress? {
    /// Reads an absolute path, or `none`, which is nil.
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
            if !wrong.isEmpty {
                throw UnacceptableText(wrong.map { "\(EffectiveConfiguration.shownText($0)): allowed is \(allowed)" })
            }
            return texts.compactMap(OriginPattern.init)
        }
    }
}
