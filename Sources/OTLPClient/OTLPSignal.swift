/// The kind of data that is sent by OTLP/HTTP: it decides about the path behind a base URL, and about the keys that
/// advice names.
package enum OTLPSignal: Sendable {
    case traces, metrics

    var path: String {
        switch self {
        case .traces: "/v1/traces"
        case .metrics: "/v1/metrics"
        }
    }

    /// The beginning of the keys.
    package var section: String {
        switch self {
        case .traces: "tempo"
        case .metrics: "metrics.push"
        }
    }

    /// The far side in words.
    var backend: String {
        switch self {
        case .traces: "Tempo"
        case .metrics: "the backend"
        }
    }

    var wantsTLSAdvice: String { "\(section).endpoint is a TLS port: write https:// in place of http://" }

    var wantsNoTLSAdvice: String { "\(section).endpoint is not a TLS port: write http:// in place of https://" }

    var wantsHTTP1Advice: String {
        "\(section).endpoint does not speak HTTP/1.1 there: use the OTLP/HTTP port, usually 4318 (4317 is for gRPC)"
    }

    var wrongEndpointAdvice: String { "is \(section).endpoint the base URL of an OTLP/HTTP receiver?" }
}
