/// What is sent by OTLP/HTTP: which path of a base URL takes it, and which keys configure it, for advice.
package enum OTLPSignal: Sendable {
    case traces, metrics

    var path: String {
        switch self {
        case .traces: "/v1/traces"
        case .metrics: "/v1/metrics"
        }
    }

    /// The keys begin with this.
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

    var wrongEndpointAdvice: String { "is \(section).endpoint the base URL of an OTLP/HTTP receiver?" }
}
