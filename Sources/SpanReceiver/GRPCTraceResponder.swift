import HTTPService
import NIOCore
import NIOHTTP1
import OTLP
import Text

/// Answers OTLP/gRPC: the unary call `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
///
/// The status of a call is in its trailers (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md); an answer
/// without a message has them in its only HEADERS frame.
final class GRPCTraceResponder: HTTPResponder {
    static let otlpServices = "/opentelemetry.proto.collector."
    private static let path = otlpServices + "trace.v1.TraceService/Export"
    private static let otherSignals = ["metrics.v1.MetricsService", "logs.v1.LogsService", "profiles.v1"]
    private static let contentType = "application/grpc"
    private static let acceptedEncodings = "identity,gzip"

    fileprivate let intake: TraceIntake
    fileprivate let now: @Sendable () -> NIODeadline
    private let bearerToken: BearerToken?

    init(_ intake: TraceIntake, _ bearerToken: BearerToken?, now: @escaping @Sendable () -> NIODeadline = { .now() }) {
        self.intake = intake
        self.bearerToken = bearerToken
        self.now = now
    }

    /// Returns true for `application/grpc`, whatever follows.
    static func isGRPC(_ headers: HTTPHeaders) -> Bool {
        headers.first(name: "content-type")?.lowercased().hasPrefix(contentType) ?? false
    }

    func judge(_ head: HTTPRequestHead, arrival: NIODeadline) -> HTTPVerdict {
        // These two have a status of HTTP: a client that sends them does not speak gRPC.
        guard Self.isProtobuf(head.headers) else {
            let refusal = intake.refusal(
                .unknownMediaType, "gRPC comes as \(Self.contentType) or \(Self.contentType)+proto")
            var response = HTTPResponse.text(.unsupportedMediaType, refusal.message)
            response.refusal = refusal.told
            return .answer(response)
        }
        guard head.method == .POST else {
            var response = HTTPResponse.methodNotAllowed("POST")
            response.refusal = intake.refusal(.wrongMethod, "gRPC comes by POST").told
            return .answer(response)
        }
        let path = head.path
        guard path == Self.path else { return .answer(refuse(.unknownPath, Self.hint(path))) }
        if let bearerToken, !bearerToken.isIn(head.headers) {
            return .answer(refuse(.unauthenticated, "a bearer token is required"))
        }
        guard let coding = BodyCoding(head.headers) else {
            var response = refuse(.unknownEncoding, "unknown grpc-encoding; allowed are \(Self.acceptedEncodings)")
            response.headers.add(name: "grpc-accept-encoding", value: Self.acceptedEncodings)
            return .answer(response)
        }
        var deadline: NIODeadline?
        if let field = head.headers.first(name: "grpc-timeout") {
            guard let timeout = GRPCFields.timeoutNanoseconds(field) else {
                return .answer(refuse(.badCall, "grpc-timeout is not up to eight digits and a unit"))
            }
            deadline = arrival + .nanoseconds(timeout)
        }
        return .receive(TraceCall(self, coding, deadline: deadline))
    }

    private static func isProtobuf(_ headers: HTTPHeaders) -> Bool {
        let type = headers.first(name: "content-type")?.lowercased().prefix { $0 != ";" && $0 != " " }
        return type == contentType[...] || type == "\(contentType)+proto"
    }

    private static func hint(_ path: String) -> String {
        otherSignals.contains { path.hasPrefix(otlpServices + $0) }
            ? "this collector takes traces only, by \(Self.path); send other signals to their own backend"
            : "no such method; spans go to \(Self.path)"
    }

    // MARK: Answers

    fileprivate func refuse(_ reason: TraceRefusal.Reason, _ message: String) -> HTTPResponse {
        answer(.refused(intake.refusal(reason, message)))
    }

    fileprivate func answer(_ outcome: TraceOutcome) -> HTTPResponse {
        switch outcome {
        case .accepted(let partial):
            let message = OTLPResponse.success(refused: partial.refusedSpans, remark: partial.message)
            var response = HTTPResponse(.ok, contentType: Self.contentType, body: GRPCMessage.framed(message))
            response.trailers = ["grpc-status": "0"]
            response.refusal = partial.told
            return response
        case .refused(let refusal):
            let code = refusal.reason.rpcCode
            let details = OTLPResponse.status(
                code, refusal.message, retryAfterSeconds: refusal.reason.retryAfterSeconds)
            var response = HTTPResponse(.ok, contentType: Self.contentType)
            response.headers.add(name: "grpc-status", value: String(code.rawValue))
            response.headers.add(name: "grpc-message", value: PercentCoding.encode(refusal.message, plain: .printable))
            response.headers.add(name: "grpc-status-details-bin", value: Base64.encode(details))
            response.refusal = refusal.told
            return response
        }
    }
}

/// A call whose head was accepted, with what the head says.
private final class TraceCall: HTTPExchange {
    let maxBodyBytes: Int
    private let responder: GRPCTraceResponder
    private let coding: BodyCoding
    private let deadline: NIODeadline?

    init(_ responder: GRPCTraceResponder, _ coding: BodyCoding, deadline: NIODeadline?) {
        maxBodyBytes = responder.intake.maxBodyBytes + GRPCMessage.prefixBytes
        self.responder = responder
        self.coding = coding
        self.deadline = deadline
    }

    func refuse(_ reason: BodyRefusal) -> HTTPResponse { responder.answer(.refused(responder.intake.refusal(reason))) }

    func respond(to body: ByteBuffer, on eventLoop: any EventLoop) -> HTTPReply {
        // Its sender stopped waiting and sends the spans again: accepted now, they would be there twice.
        if let deadline, responder.now() >= deadline {
            return .now(responder.refuse(.deadlineExceeded, "the call came after its deadline"))
        }
        switch take(body, on: eventLoop) {
        case .now(let outcome): return .now(responder.answer(outcome))
        // However long the disk took, the spans are there: another answer would ask for them once more.
        case .later(let future): return .later(future.map { [responder] in responder.answer($0) })
        }
    }

    private func take(_ body: ByteBuffer, on eventLoop: any EventLoop) -> TraceIntake.Reply {
        let intake = responder.intake
        do throws(GRPCMessage.Broken) {
            let message = try GRPCMessage(in: body)
            if message.isCompressed && coding == .identity {
                return .now(
                    .refused(intake.refusal(.badCall, "the message is compressed, but grpc-encoding names none")))
            }
            return intake.take(
                message.bytes, message.isCompressed ? coding : .identity, from: .grpcProtobuf, on: eventLoop)
        } catch {
            return .now(.refused(intake.refusal(.badCall, error.message)))
        }
    }
}

extension BodyCoding {
    /// Reads the encoding; returns nil for one that is unknown.
    fileprivate init?(_ headers: HTTPHeaders) {
        switch headers.first(name: "grpc-encoding")?.lowercased() {
        case nil, "", "identity": self = .identity
        case "gzip": self = .deflated
        default: return nil
        }
    }
}
