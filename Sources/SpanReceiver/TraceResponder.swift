import HTTPService
import NIOCore
import NIOHTTP1
import OTLP

/// Answers OTLP/HTTP: `POST /v1/traces` with `application/x-protobuf` or `application/json`, over HTTP/1.1 or HTTP/2.
///
/// The bodies of refusals are `google.rpc.Status` in the request's encoding, as the specification asks; in protobuf for
/// senders of neither.
final class TraceResponder: HTTPResponder {
    private static let path = "/v1/traces"

    fileprivate let intake: TraceIntake
    fileprivate let cors: CORSPolicy
    private let bearerToken: BearerToken?

    init(_ intake: TraceIntake, bearerToken: BearerToken?, cors: CORSPolicy) {
        self.intake = intake
        self.bearerToken = bearerToken
        self.cors = cors
    }

    func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        let origin = cors.origin(of: head.headers)
        let type = Self.mediaType(head.headers)
        let encoding = SpanSource.Encoding(mediaType: type)
        func refuse(_ reason: TraceRefusal.Reason, _ message: String, adding fields: HTTPHeaders = [:]) -> HTTPVerdict {
            var response = answer(.refused(intake.refusal(reason, message)), in: encoding ?? .protobuf)
            response.headers.add(contentsOf: fields)
            return .answer(cors.mark(response, for: origin))
        }
        guard head.uri == Self.path || head.path == Self.path else {
            return refuse(.unknownPath, Self.hint(head.path))
        }
        if case .foreign(let origin) = origin {
            return refuse(.foreignOrigin, "pages of \(origin) may not send spans (otlp.cors.allowed-origins)")
        }
        // A preflight has no credentials: the request that follows it has.
        if case .allowed = origin, let response = cors.preflight(head) {
            return .answer(cors.mark(response, for: origin))
        }
        guard head.method == .POST else {
            return refuse(.wrongMethod, "spans come by POST", adding: ["Allow": "POST"])
        }
        if let bearerToken, !bearerToken.isIn(head.headers) {
            return refuse(.unauthenticated, "a bearer token is required", adding: ["WWW-Authenticate": "Bearer"])
        }
        guard let encoding else {
            let allowed = SpanSource.Encoding.allCases.map(\.mediaType).joined(separator: " and ")
            return refuse(
                .unknownMediaType,
                "content type \(type.map { String($0.prefix(100)) } ?? "missing"); allowed are \(allowed)")
        }
        guard let coding = BodyCoding(head.headers) else {
            return refuse(.unknownEncoding, "unknown content encoding; allowed are identity, gzip, deflate and zstd")
        }
        return .receive(TraceRequest(self, encoding: encoding, coding: coding, origin: origin))
    }

    private static func hint(_ path: String) -> String {
        path == "/v1/metrics" || path == "/v1/logs"
            ? "this collector takes traces only, at \(Self.path); send metrics and logs to their own backend"
            : "no such path; spans go to \(Self.path)"
    }

    private static func mediaType(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "content-type") else { return nil }
        // Nearly all senders write it so: the rest walks over characters, and took a fifth of the instructions of a
        // small request.
        if SpanSource.Encoding.allCases.contains(where: { $0.mediaType == value }) { return value }
        let type = value.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased()
    }

    // MARK: Answers

    fileprivate func answer(_ outcome: TraceOutcome, in encoding: SpanSource.Encoding) -> HTTPResponse {
        switch outcome {
        case .accepted(let partial):
            let body =
                switch encoding {
                case .protobuf: OTLPResponse.success(refused: partial.refusedSpans, remark: partial.message)
                case .json: OTLPJSONResponse.success(refused: partial.refusedSpans, remark: partial.message)
                }
            var response = HTTPResponse(.ok, contentType: encoding.mediaType, body: body)
            response.refusal = partial.told
            return response
        case .refused(let refusal):
            let body =
                switch encoding {
                case .protobuf: OTLPResponse.status(refusal.reason.rpcCode, refusal.message)
                case .json: OTLPJSONResponse.status(refusal.reason.rpcCode, refusal.message)
                }
            var response = HTTPResponse(refusal.reason.httpStatus, contentType: encoding.mediaType, body: body)
            if let seconds = refusal.reason.retryAfterSeconds {
                response.headers.add(name: "Retry-After", value: String(seconds))
            }
            response.refusal = refusal.told
            return response
        }
    }
}

/// A request whose head was accepted, with what the head says.
private final class TraceRequest: HTTPExchange {
    let maxBodyBytes: Int
    private let responder: TraceResponder
    private let encoding: SpanSource.Encoding
    private let coding: BodyCoding
    private let origin: CORSPolicy.Origin

    init(
        _ responder: TraceResponder, encoding: SpanSource.Encoding, coding: BodyCoding,
        origin: CORSPolicy.Origin
    ) {
        maxBodyBytes = responder.intake.maxBodyBytes
        self.responder = responder
        self.encoding = encoding
        self.coding = coding
        self.origin = origin
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse { answer(.refused(responder.intake.refusal(reason))) }

    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply {
        let source: SpanSource = encoding == .json ? .httpJSON : .httpProtobuf
        switch responder.intake.take(body, coding, from: source, on: eventLoop) {
        case .now(let outcome): return .now(answer(outcome))
        case .later(let future): return .later(future.map { self.answer($0) })
        }
    }

    private func answer(_ outcome: TraceOutcome) -> HTTPResponse {
        responder.cors.mark(responder.answer(outcome, in: encoding), for: origin)
    }
}

extension SpanSource.Encoding {
    fileprivate var mediaType: String {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }

    /// Reads the type; returns nil for one that is unknown.
    fileprivate init?(mediaType: String?) {
        guard let known = Self.allCases.first(where: { $0.mediaType == mediaType }) else { return nil }
        self = known
    }
}

extension BodyCoding {
    /// Reads the encoding; returns nil for one that is unknown.
    fileprivate init?(_ headers: HTTPHeaders) {
        let codings = headers["content-encoding"]
        if codings.isEmpty {
            self = .identity
            return
        }
        // Several lines are one list, and a list of two codings is unknown here.
        switch codings.joined(separator: ",").lowercased() {
        case "", "identity": self = .identity
        case "gzip", "x-gzip", "deflate": self = .deflated
        case "zstd": self = .zstd
        default: return nil
        }
    }
}
