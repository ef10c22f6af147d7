import NIOHTTP1
import OTLP

/// What became of a request, whatever it came by. Each face encodes it in its own way.
enum TraceOutcome: Sendable {
    /// Kept, but for this many spans with ids that nobody takes.
    case accepted(refusedSpans: Int)
    case refused(TraceRefusal)
}

/// Why a request was refused, with what its sender is told.
struct TraceRefusal: Error, Sendable {
    enum Reason: Sendable {
        case unknownPath, wrongMethod, unauthenticated, unknownMediaType, unknownEncoding
        case malformed
        case tooLarge, full, unavailable
    }

    let reason: Reason
    let message: String

    init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// The one table of statuses: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
extension TraceRefusal.Reason {
    /// The status of OTLP/HTTP.
    var httpStatus: HTTPResponseStatus {
        switch self {
        case .unknownPath: .notFound
        case .wrongMethod: .methodNotAllowed
        case .unauthenticated: .unauthorized
        case .unknownMediaType, .unknownEncoding: .unsupportedMediaType
        // "Bad data": the client must not retry.
        case .malformed: .badRequest
        case .tooLarge: .payloadTooLarge
        // "Throttling": the client retries after Retry-After.
        case .full: .tooManyRequests
        case .unavailable: .serviceUnavailable
        }
    }

    /// The code in the body.
    var rpcCode: RPCCode {
        switch self {
        case .unknownPath, .wrongMethod, .unknownEncoding: .unimplemented
        case .unauthenticated: .unauthenticated
        case .unknownMediaType, .malformed: .invalidArgument
        case .tooLarge, .full: .resourceExhausted
        case .unavailable: .unavailable
        }
    }

    /// For Retry-After; nil where a retry can't help.
    var retryAfterSeconds: Int? {
        switch self {
        case .full, .unavailable: 1
        default: nil
        }
    }

    /// nil where the spans were counted, and are counted as refused.
    var badRequest: BadRequestReason? {
        switch self {
        case .unknownPath: .path
        case .wrongMethod: .method
        case .unauthenticated: .unauthenticated
        case .unknownMediaType: .mediaType
        case .unknownEncoding: .encoding
        case .malformed: .malformed
        case .tooLarge: .tooLarge
        case .full, .unavailable: nil
        }
    }
}
