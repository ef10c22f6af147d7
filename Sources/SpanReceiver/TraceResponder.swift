import Compression
package import HTTPService
import Model
package import NIOCore
package import NIOHTTP1
package import OTLP
import ProtobufWire
import Synchronization

package struct TraceResponderOptions: Sendable {
    /// After decompression.
    package var maxBodyBytes: Int
    /// Required of every request when set.
    package var bearerToken: String?

    package init(maxBodyBytes: Int, bearerToken: String? = nil) {
        self.maxBodyBytes = maxBodyBytes
        self.bearerToken = bearerToken
    }
}

/// OTLP/HTTP: `POST /v1/traces` with `application/x-protobuf`.
///
/// Each branch is a line of https://opentelemetry.io/docs/specs/otlp/#otlphttp-response; the bodies of refusals are
/// `google.rpc.Status` in protobuf, as the specification asks.
package struct TraceResponder: HTTPResponder {
    static let protobufType = "application/x-protobuf"
    private static let retryAfterSeconds = "1"

    /// Reused from request to request, so that a scan allocates nothing.
    private final class Scratch: Sendable {
        struct Tools: ~Copyable {
            var scanner: SpanScanner
            let inflater = Inflater()
        }
        let tools: Mutex<Tools>

        init(_ table: TaskAttributeTable) {
            tools = Mutex(Tools(scanner: SpanScanner(table: table)))
        }
    }

    private let options: TraceResponderOptions
    private let sink: any SpanSink
    private let counters: ReceiverCounters
    private let scratch: Scratch

    package init(
        _ options: TraceResponderOptions, attributes: TaskAttributeTable, sink: any SpanSink, counters: ReceiverCounters
    ) {
        self.options = options
        self.sink = sink
        self.counters = counters
        scratch = Scratch(attributes)
    }

    package var maxBodyBytes: Int { options.maxBodyBytes }

    // MARK: What the head tells

    package func refusal(of head: HTTPRequestHead) -> HTTPResponse? {
        let path = head.path
        guard path == "/v1/traces" else {
            counters.note(.path)
            let hint = path == "/v1/metrics" || path == "/v1/logs"
                ? "this collector takes traces only, at /v1/traces; send metrics and logs to their own backend"
                : "no such path; spans go to /v1/traces"
            return refusal(.notFound, .notFound, hint)
        }
        guard head.method == .POST else {
            counters.note(.method)
            var response = refusal(.methodNotAllowed, .unimplemented, "spans come by POST")
            response.headers.add(name: "Allow", value: "POST")
            return response
        }
        if let token = options.bearerToken, !Self.isAuthorized(head, token: token) {
            counters.note(.unauthenticated)
            var response = refusal(.unauthorized, .unauthenticated, "a bearer token is required")
            response.headers.add(name: "WWW-Authenticate", value: "Bearer")
            return response
        }
        let type = mediaType(head.headers)
        guard type == Self.protobufType else {
            counters.note(.mediaType)
            return refusal(
                .unsupportedMediaType, .invalidArgument, "content type \(type ?? "missing"); allowed is \(Self.protobufType)")
        }
        guard ContentEncoding(head.headers) != nil else {
            counters.note(.encoding)
            return refusal(
                .unsupportedMediaType, .invalidArgument, "unknown content encoding; allowed are identity, gzip and deflate")
        }
        return nil
    }

    private func mediaType(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "content-type") else { return nil }
        let type = value.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased()
    }

    /// Compares every byte whatever it finds, so that the time says nothing of the token.
    private static func isAuthorized(_ head: HTTPRequestHead, token: String) -> Bool {
        guard let value = head.headers.first(name: "authorization"), value.prefix(7).lowercased() == "bearer " else {
            return false
        }
        let given = Array(value.dropFirst(7).utf8)
        let expected = Array(token.utf8)
        var difference = given.count ^ expected.count
        for (index, byte) in expected.enumerated() {
            difference |= Int(byte ^ (index < given.count ? given[index] : 0))
        }
        return difference == 0
    }

    package func bodyTooLarge(_ head: HTTPRequestHead) -> HTTPResponse {
        counters.note(.tooLarge)
        return refusal(
            .payloadTooLarge, .resourceExhausted, "the body is larger than \(options.maxBodyBytes) bytes (otlp.max-body)")
    }

    // MARK: What the body tells

    package func respond(to request: HTTPRequest, on eventLoop: any EventLoop) -> HTTPReply {
        let encoding = ContentEncoding(request.headers) ?? .identity
        return scratch.tools.withLock { tools in
            request.body.withUnsafeReadableBytes { body in
                guard encoding == .inflate, !body.isEmpty else { return scan(body, &tools.scanner, eventLoop) }
                do throws(DecompressionError) {
                    let inflated = try tools.inflater.inflate(body, limit: options.maxBodyBytes)
                    return inflated.withUnsafeBytes { scan($0, &tools.scanner, eventLoop) }
                } catch {
                    return .now(refusal(of: error))
                }
            }
        }
    }

    private func refusal(of error: DecompressionError) -> HTTPResponse {
        if case .tooLarge = error {
            counters.note(.tooLarge)
            return refusal(.payloadTooLarge, .resourceExhausted, "\(error) (otlp.max-body)")
        }
        counters.note(.malformed)
        return refusal(.badRequest, .invalidArgument, "\(error)")
    }

    private func scan(
        _ body: UnsafeRawBufferPointer, _ scanner: inout SpanScanner, _ eventLoop: any EventLoop
    ) -> HTTPReply {
        do throws(MalformedRequest) {
            try scanner.scan(body)
        } catch {
            counters.note(.malformed)
            return .now(refusal(.badRequest, .invalidArgument, "not an ExportTraceServiceRequest: \(error)"))
        }
        let refused = scanner.refused.count
        let accepted = scanner.spanCount - refused
        let taskSpans = scanner.taskSpans
        if refused == 0 {
            return take(
                AcceptedSpans(payload: body, spanCount: accepted, taskSpans: taskSpans, scanned: body), badIDs: 0, eventLoop)
        }
        do throws(WireError) {
            let kept = try SpanRewriter.removing(scanner.refused, from: body)
            return kept.withUnsafeBytes { (payload: UnsafeRawBufferPointer) -> HTTPReply in
                take(
                    AcceptedSpans(payload: payload, spanCount: accepted, taskSpans: taskSpans, scanned: body),
                    badIDs: refused, eventLoop)
            }
        } catch {
            // The scanner has read these bytes just now, so the rewriter can.
            counters.note(.malformed)
            return .now(refusal(.badRequest, .invalidArgument, error.reason.rawValue))
        }
    }

    private func take(_ spans: AcceptedSpans, badIDs: Int, _ eventLoop: any EventLoop) -> HTTPReply {
        let response = success(refused: badIDs)
        let waits = sink.acknowledgesAfterSync && spans.spanCount > 0
        let promise = waits ? eventLoop.makePromise(of: HTTPResponse.self) : nil
        let failed = unavailable("the disk did not take the spans")
        var whenDurable: (@Sendable (Bool) -> Void)?
        if let promise { whenDurable = { promise.succeed($0 ? response : failed) } }
        do throws(SinkRefusal) {
            try counters.take(.protobuf, spanCount: spans.spanCount, badIDs: badIDs) { () throws(SinkRefusal) in
                if spans.spanCount == 0 { return }
                try sink.take(spans, whenDurable: whenDurable)
            }
        } catch {
            promise?.succeed(response)  // Nobody waits for it, but NIO insists that a promise is kept.
            return .now(refusal(of: error))
        }
        return promise.map { .later($0.futureResult) } ?? .now(response)
    }

    private func refusal(of error: SinkRefusal) -> HTTPResponse {
        switch error {
        case .tooLarge(let reason): return refusal(.payloadTooLarge, .resourceExhausted, reason)
        case .full(let reason):
            var response = refusal(.tooManyRequests, .resourceExhausted, reason)
            response.headers.add(name: "Retry-After", value: Self.retryAfterSeconds)
            return response
        case .unavailable(let reason): return unavailable(reason)
        }
    }

    // MARK: Answers

    private func success(refused: Int) -> HTTPResponse {
        HTTPResponse(
            .ok, contentType: Self.protobufType,
            body: OTLPResponse.success(
                refused: refused,
                reason: "\(refused) spans have a trace, span, parent or link id that is zero or of a wrong length"))
    }

    private func unavailable(_ reason: String) -> HTTPResponse {
        var response = refusal(.serviceUnavailable, .unavailable, reason)
        response.headers.add(name: "Retry-After", value: Self.retryAfterSeconds)
        return response
    }

    private func refusal(_ status: HTTPResponseStatus, _ code: RPCCode, _ message: String) -> HTTPResponse {
        HTTPResponse(status, contentType: Self.protobufType, body: OTLPResponse.status(code, message))
    }
}

/// How a body is encoded; nil for an encoding that we don't know.
private enum ContentEncoding {
    case identity, inflate

    init?(_ headers: HTTPHeaders) {
        switch headers.first(name: "content-encoding")?.lowercased() {
        case nil, "", "identity": self = .identity
        case "gzip", "x-gzip", "deflate": self = .inflate
        default: return nil
        }
    }
}
