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

    var wrongEndpointAdvice: String { "is \(section).endpoint the base URL of an OTLP/HTTP receiver?" }
}
