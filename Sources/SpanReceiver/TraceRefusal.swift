import HTTPService
import NIOHTTP1
import OTLP

/// The reason why a request was refused, with the text for its sender.
struct TraceRefusal: Error, Sendable {
    enum Reason: Sendable {
        case unknownPath, wrongMethod, unauthenticated, unknownMediaType, unknownEncoding, foreignOrigin
        case malformed
        /// The call breaks the rules of gRPC.
        case badCall
        case tooLarge, full, overloaded, unavailable
        case deadlineExceeded
    }

    let reason: Reason
    let message: String

    init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// The one table of statuses: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response and #otlpgrpc-response.
extension TraceRefusal.Reason {
    /// The status of OTLP/HTTP.
    var httpStatus: HTTPResponseStatus {
        switch self {
        case .unknownPath: .notFound
        case .wrongMethod: .methodNotAllowed
        case .unauthenticated: .unauthorized
        case .foreignOrigin: .forbidden
        case .unknownMediaType, .unknownEncoding: .unsupportedMediaType
        // "Bad data": the client must not retry.
        case .malformed, .badCall: .badRequest
        case .tooLarge: .payloadTooLarge
        // "Throttling": the client retries after Retry-After.
        case .full: .tooManyRequests
        case .overloaded, .unavailable: .serviceUnavailable
        case .deadlineExceeded: .gatewayTimeout
        }
    }

    /// The status of OTLP/gRPC, and the code in the body of OTLP/HTTP.
    var rpcCode: RPCCode {
        switch self {
        case .unknownPath, .wrongMethod, .unknownEncoding: .unimplemented
        case .unauthenticated: .unauthenticated
        case .foreignOrigin: .permissionDenied
        case .unknownMediaType, .malformed: .invalidArgument
        case .badCall: .internal
        // It is retryable with RetryInfo only; what is too large comes without.
        case .tooLarge, .full: .resourceExhausted
        case .overloaded, .unavailable: .unavailable
        case .deadlineExceeded: .deadlineExceeded
        }
    }

    /// The seconds of Retry-After and RetryInfo; nil where a retry can't help.
    var retryAfterSeconds: Int? {
        switch self {
        case .full, .overloaded, .unavailable: 1
        default: nil
        }
    }

    /// The reason in the counter of bad requests; nil where the spans were counted, and are counted as refused.
    var badRequest: BadRequestReason? {
        switch self {
        case .unknownPath: .path
        case .wrongMethod: .method
        case .unauthenticated: .unauthenticated
        case .foreignOrigin: .origin
        case .unknownMediaType: .mediaType
        case .unknownEncoding: .encoding
        case .malformed, .badCall: .malformed
        case .tooLarge: .tooLarge
        case .overloaded: .overloaded
        case .deadlineExceeded: .deadline
        case .full, .unavailable: nil
        }
    }
}

// MARK: What the log is told

extension TraceRefusal {
    /// The line for the log, under the name that the refusal is counted by.
    var told: HTTPRefusal {
        switch reason {
        case .full: HTTPRefusal(RefusalReason.spoolFull.rawValue, message)
        case .unavailable: HTTPRefusal(RefusalReason.unavailable.rawValue, message)
        default: HTTPRefusal(reason.badRequest?.rawValue ?? "refused", message)
        }
    }
}

// MARK: What senders are told

extension TraceRefusal {
    static let tooManyBodies = "too many requests at a time are being received"

    static func bodyTooLarge(_ maxBytes: Int) -> String { "the body is larger than \(maxBytes) bytes (otlp.max-body)" }

    init(_ refusal: SinkRefusal) {
        let reason: Reason =
            switch refusal.reason {
            case .spoolFull: .full
            case .tooLarge: .tooLarge
            case .unavailable: .unavailable
            case .badID, .badValue: .malformed
            }
        self.init(reason, refusal.message)
    }
}
