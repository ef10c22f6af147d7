import HTTPService
import NIOCore
import NIOHTTP1
import OTLP

/// OTLP/HTTP: `POST /v1/traces` with `application/x-protobuf`, over HTTP/1.1 or HTTP/2.
///
/// The bodies of refusals are `google.rpc.Status` in protobuf, as the specification asks.
struct TraceResponder: HTTPResponder {
    static let protobufType = "application/x-protobuf"

    private let intake: TraceIntake
    private let bearerToken: BearerToken?

    init(_ intake: TraceIntake, _ bearerToken: BearerToken?) {
        self.intake = intake
        self.bearerToken = bearerToken
    }

    func maxBodyBytes(_ head: HTTPRequestHead) -> Int { intake.maxBodyBytes }

    // MARK: What the head tells

    func refusal(of head: HTTPRequestHead) -> HTTPResponse? {
        let path = head.path
        guard path == "/v1/traces" else {
            let hint = path == "/v1/metrics" || path == "/v1/logs"
                ? "this collector takes traces only, at /v1/traces; send metrics and logs to their own backend"
                : "no such path; spans go to /v1/traces"
            return refuse(.unknownPath, hint)
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
        let type = mediaType(head.headers)
        guard type == Self.protobufType else {
            return refuse(.unknownMediaType, "content type \(type ?? "missing"); allowed is \(Self.protobufType)")
        }
        guard TraceIntake.BodyCoding(head.headers) != nil else {
            return refuse(.unknownEncoding, "unknown content encoding; allowed are identity, gzip and deflate")
        }
        return nil
    }

    private func mediaType(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "content-type") else { return nil }
        let type = value.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased()
    }

    func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse { answer(.refused(intake.bodyTooLarge())) }

    func tooManyBodies(_ head: HTTPRequestHead) -> HTTPResponse { answer(.refused(intake.tooManyBodies())) }

    // MARK: What the body tells

    func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply {
        let coding = TraceIntake.BodyCoding(request.headers) ?? .identity
        switch intake.take(request.body, coding, from: .httpProtobuf, on: eventLoop) {
        case .now(let outcome): return .now(answer(outcome))
        case .later(let future): return .later(future.map { answer($0) })
        }
    }

    // MARK: Answers

    private func refuse(_ reason: TraceRefusal.Reason, _ message: String) -> HTTPResponse {
        answer(.refused(intake.refusal(reason, message)))
    }

    private func answer(_ outcome: TraceOutcome) -> HTTPResponse {
        switch outcome {
        case .accepted(let refused):
            let body = OTLPResponse.success(refused: refused, reason: TraceOutcome.reasonForBadIDs(refused))
            return HTTPResponse(.ok, contentType: Self.protobufType, body: body)
        case .refused(let refusal):
            let body = OTLPResponse.status(refusal.reason.rpcCode, refusal.message)
            var response = HTTPResponse(refusal.reason.httpStatus, contentType: Self.protobufType, body: body)
            if let seconds = refusal.reason.retryAfterSeconds {
                response.headers.add(name: "Retry-After", value: String(seconds))
            }
            return response
        }
    }
}

extension TraceIntake.BodyCoding {
    /// nil for an encoding that we don't know.
    fileprivate init?(_ headers: HTTPHeaders) {
        switch headers.first(name: "content-encoding")?.lowercased() {
        case nil, "", "identity": self = .identity
        case "gzip", "x-gzip", "deflate": self = .deflated
        default: return nil
        }
    }
}
