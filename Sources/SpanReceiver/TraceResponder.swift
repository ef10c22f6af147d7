import HTTPService
import NIOCore
import NIOHTTP1
import OTLP

/// OTLP/HTTP: `POST /v1/traces` with `application/x-protobuf` or `application/json`, over HTTP/1.1 or HTTP/2.
///
/// The bodies of refusals are `google.rpc.Status` in the request's encoding, as the specification asks; in protobuf for
/// those who sent neither.
struct TraceResponder: HTTPResponder {
    private let intake: TraceIntake
    private let bearerToken: BearerToken?
    private let cors: CORSPolicy

    init(_ intake: TraceIntake, _ bearerToken: BearerToken?, _ cors: CORSPolicy) {
        self.intake = intake
        self.bearerToken = bearerToken
        self.cors = cors
    }

    func maxBodyBytes(_ head: HTTPRequestHead) -> Int { intake.maxBodyBytes }

    // MARK: What the head tells

    func refusal(of head: HTTPRequestHead) -> HTTPResponse? {
        refusalBeforeMark(of: head).map { cors.mark($0, head.headers) }
    }

    private func refusalBeforeMark(of head: HTTPRequestHead) -> HTTPResponse? {
        let path = head.path
        let type = mediaType(head.headers)
        let encoding = SpanSource.Encoding(mediaType: type)
        func refuse(_ reason: TraceRefusal.Reason, _ message: String) -> HTTPResponse {
            answer(.refused(intake.refusal(reason, message)), in: encoding ?? .protobuf)
        }
        guard path == "/v1/traces" else {
            let hint =
                path == "/v1/metrics" || path == "/v1/logs"
                ? "this collector takes traces only, at /v1/traces; send metrics and logs to their own backend"
                : "no such path; spans go to /v1/traces"
            return refuse(.unknownPath, hint)
        }
        switch cors.decide(head) {
        case .pass: break
        // It has no credentials: the request that follows it has.
        case .preflight(let response): return response
        case .refuse(let origin):
            return refuse(.foreignOrigin, "pages of \(origin) may not send spans (otlp.cors.allowed-origins)")
        }
        guard head.method == .POST else {
            var response = refuse(.wrongMethod, "spans come by POST")
            response.headers.add(name: "Allow", value: "POST")
            return response
        }
        if let bearerToken, !bearerToken.isIn(head.headers) {
            var response = refuse(.unauthenticated, "a bearer token is required")
            response.headers.add(name: "WWW-Authenticate", value: "Bearer")
            return response
        }
        guard encoding != nil else {
            let allowed = SpanSource.Encoding.allCases.map(\.mediaType).joined(separator: " and ")
            return refuse(.unknownMediaType, "content type \(type ?? "missing"); allowed are \(allowed)")
        }
        guard TraceIntake.BodyCoding(head.headers) != nil else {
            return refuse(.unknownEncoding, "unknown content encoding; allowed are identity, gzip, deflate and zstd")
        }
        return nil
    }

    private func mediaType(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "content-type") else { return nil }
        let type = value.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased()
    }

    private func encoding(_ headers: HTTPHeaders) -> SpanSource.Encoding {
        SpanSource.Encoding(mediaType: mediaType(headers)) ?? .protobuf
    }

    func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse {
        cors.mark(answer(.refused(intake.bodyTooLarge()), in: encoding(head.headers)), head.headers)
    }

    func tooManyBodies(_ head: HTTPRequestHead) -> HTTPResponse {
        cors.mark(answer(.refused(intake.tooManyBodies()), in: encoding(head.headers)), head.headers)
    }

    // MARK: What the body tells

    func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply {
        let coding = TraceIntake.BodyCoding(request.headers) ?? .identity
        let encoding = encoding(request.headers)
        let source: SpanSource = encoding == .json ? .httpJSON : .httpProtobuf
        switch intake.take(request.body, coding, from: source, on: eventLoop) {
        case .now(let outcome): return .now(cors.mark(answer(outcome, in: encoding), request.headers))
        case .later(let future):
            return .later(future.map { cors.mark(answer($0, in: encoding), request.headers) })
        }
    }

    // MARK: Answers

    private func answer(_ outcome: TraceOutcome, in encoding: SpanSource.Encoding) -> HTTPResponse {
        switch outcome {
        case .accepted(let refused):
            let reason = TraceOutcome.reasonForBadIDs(refused)
            let body =
                switch encoding {
                case .protobuf: OTLPResponse.success(refused: refused, reason: reason)
                case .json: OTLPJSONResponse.success(refused: refused, reason: reason)
                }
            return HTTPResponse(.ok, contentType: encoding.mediaType, body: body)
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
            return response
        }
    }
}

extension SpanSource.Encoding {
    fileprivate var mediaType: String {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }

    /// nil for a type that we don't know.
    fileprivate init?(mediaType: String?) {
        guard let known = Self.allCases.first(where: { $0.mediaType == mediaType }) else { return nil }
        self = known
    }
}

extension TraceIntake.BodyCoding {
    /// nil for an encoding that we don't know.
    fileprivate init?(_ headers: HTTPHeaders) {
        // Several lines are one list, and one of two codings is none that we know.
        switch headers["content-encoding"].joined(separator: ",").lowercased() {
        case "", "identity": self = .identity
        case "gzip", "x-gzip", "deflate": self = .deflated
        case "zstd": self = .zstd
        default: return nil
        }
    }
}
