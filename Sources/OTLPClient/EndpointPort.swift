package import Model

/// The kind of the endpoint's port. A port of another kind than the endpoint's scheme says often ends the connection without a word or
/// stays silent, as a server that breaks down does. So the port is asked: an outage can't answer as another kind of port does.
///
/// | the endpoint                   | a request                               | is the port …                |
/// |--------------------------------|-----------------------------------------|------------------------------|
/// | has answered before, or proxy  | fails                                   | not asked: this is an outage |
/// | has never answered, `http://`  | is broken off, or times out once sent   | for TLS?                     |
/// | has never answered, `https://` | the same                                | for gRPC?                    |
/// | has never answered, `https://` | its handshake is broken off             | for gRPC? without TLS?       |
/// | has never answered, `https://` | its handshake, or connecting, times out | without TLS?                 |
///
/// It is asked at most once a minute (`PortProbe`).
package struct EndpointPort {
    /// The kinds of ports that can't be used, as the endpoint is written.
    enum Kind {
        /// Speaks TLS where `http://` is written.
        case tls
        /// Speaks HTTP without TLS where `https://` is written.
        case plain
        /// Speaks TLS and HTTP/2 only.
        case grpc

        var name: String {
            switch self {
            case .tls: "a port for TLS"
            case .plain: "a port without TLS"
            case .grpc: "a gRPC port"
            }
        }

        func advice(_ signal: OTLPSignal) -> String {
            switch self {
            case .tls: signal.wantsTLSAdvice
            case .plain: signal.wantsNoTLSAdvice
            case .grpc: signal.wantsHTTP1Advice
            }
        }
    }

    private static let pause = Duration.seconds(60)

    private struct Known {
        let endpoint: OTLPEndpoint
        var hasAnswered = false
        /// What the port said when it was asked last.
        var kind: Kind?
        var next = MonotonicTime(nanoseconds: 0)
    }

    private var known: Known?
    private let ask: (_ suspects: [Kind], OTLPEndpoint) -> Kind?

    package init() {
        self.init { PortProbe.find($0, at: $1) }
    }

    /// - Parameter ask: Returns the kind of the endpoint's port, if it is one of the suspects.
    init(ask: @escaping (_ suspects: [Kind], OTLPEndpoint) -> Kind?) {
        self.ask = ask
    }

    /// Returns the answer to a request; a failure that the kind of the port explains becomes a mistake of configuration.
    package mutating func judged(_ answer: OTLPAnswer, of transfer: CurlTransfer, at now: MonotonicTime) -> OTLPAnswer {
        transfer.hasProxy ? answer : judged(answer, from: transfer.endpoint, at: now)
    }

    mutating func judged(_ answer: OTLPAnswer, from endpoint: OTLPEndpoint, at now: MonotonicTime) -> OTLPAnswer {
        var port = known?.endpoint == endpoint ? known ?? Known(endpoint: endpoint) : Known(endpoint: endpoint)
        defer { known = port }
        guard let failure = answer.failure else {
            port.hasAnswered = true
            return answer
        }
        let suspects = Self.suspects(failure, isHTTPS: endpoint.scheme == "https")
        if port.hasAnswered || suspects.isEmpty { return answer }
        if now >= port.next {
            port.kind = ask(suspects, endpoint)
            port.next = now.advanced(by: Self.pause)
        }
        return port.kind.map { .failed(failure.explained(by: $0, endpoint.signal)) } ?? answer
    }

    /// Returns the kinds that explain a failure, in the order in which they are asked for; none where it can only be an outage.
    static func suspects(_ failure: TransferFailure, isHTTPS: Bool) -> [Kind] {
        switch (isHTTPS, failure.label, failure.kind) {
        case (false, "broken", _), (false, "timeout", .unanswered): [.tls]
        case (true, "broken", .unanswered), (true, "timeout", .unanswered): [.grpc]
        case (true, "broken", .unreachable), (true, "tls", .unreachable): [.grpc, .plain]
        case (true, "timeout", .unreachable): [.plain]
        default: []
        }
    }
}
