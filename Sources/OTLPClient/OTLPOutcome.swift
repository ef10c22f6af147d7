import OTLP
import Text

/// The result of one request: an answer, or the reason why there is none.
package struct OTLPAnswer {
    /// The HTTP status; 0 when no answer came.
    var status = 0
    var body: [UInt8] = []
    /// True if the body is a beginning only: it was longer than what is kept of it, or it broke off.
    var isCut = false
    /// The type as the header says it; empty without one.
    var contentType = ""
    /// The seconds that `Retry-After` asks for (a number or a date), 0 when absent.
    package var retryAfterSeconds: UInt64 = 0
    /// The failure; nil when an answer came.
    package var failure: TransferFailure?
    /// The variable of the environment that names the proxy; nil without one.
    var proxyVariable: String?
    /// The address that a redirect names, without its secrets; nil without one, and where it can't be shown.
    var redirect: String?
    /// True if a value of the request's headers looks percent-encoded.
    var hasEncodedHeader = false
    /// True if a redirect names an address.
    var hasLocation = false
    /// The address of the answer; nil behind a proxy.
    var lastAddress: LastAddress?

    package static func failed(_ failure: TransferFailure) -> OTLPAnswer { OTLPAnswer(failure: failure) }

    /// Returns the number of a `Retry-After` that libcurl does not read, since it is beyond its type; 0 for other text.
    static func seconds(_ text: String) -> UInt64 {
        let digits = text.utf8.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            .reversed().drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.reversed()
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return 0
        }
        return UInt64(String(decoding: digits, as: UTF8.self)) ?? .max
    }

    /// True for an answer that says that there were too many requests, or too much in them.
    package var isRateLimit: Bool { status == 429 }

    /// Returns the `code` of the counters of requests, such as `asynq_collector_forward_requests_total`: the status, what
    /// broke the request, or `page` for a status of success that accepts nothing.
    package func code(_ outcome: OTLPOutcome) -> String {
        if let failure { return failure.label }
        if case .accepted = outcome { return String(status) }
        return (200..<300).contains(status) ? "page" : String(status)
    }
}

/// The meaning of an answer for the backend and for the bytes that were sent.
///
/// | answer                              | outcome       |
/// |-------------------------------------|---------------|
/// | 2xx, blank, protobuf or JSON        | `accepted`    |
/// | 2xx with a page                     | `retrySlowly` |
/// | 408, 425, 429, 503; no connection   | `retry`       |
/// | 3xx, 4xx but for 400 and 422; TLS; any refusal that says "no org id"; 400 that wants TLS, or another compression | `retrySlowly` |
/// | 500 and other 5xx; 502, 504, connection broken, time over | `doubtful` |
/// | 413; 400 or 429 that says that the batch is too large | `tooLarge` |
/// | 400, 422                            | `refused`     |
///
/// Source: https://opentelemetry.io/docs/specs/otlp/#failures-1, and what Tempo does. OTLP would have more statuses
/// count as final; but what has nothing to do with these very bytes can be corrected, and spans can wait on disk.
package enum OTLPOutcome: Equatable {
    /// The backend accepted the request, but left `rejected` spans or data points out.
    case accepted(rejected: Int, message: String)
    /// The backend as a whole can't accept anything now. The request is tried again, not before the backend asks for
    /// it.
    case retry(afterSeconds: UInt64, reason: String)
    /// The configuration is wrong or the far side is the wrong one. The request is tried again at the slowest pace, and
    /// the log says what to do.
    case retrySlowly(reason: String, advice: String)
    /// The fault of the backend, mostly; or these bytes bring it about. `isAnswer`: the backend itself said so, and if it
    /// does again and again, while other requests pass, that is a refusal.
    case doubtful(afterSeconds: UInt64, reason: String, isAnswer: Bool)
    /// The request is too large; smaller portions may pass.
    case tooLarge(reason: String)
    /// The same bytes can't succeed: they are split, or dropped where they can't be.
    case refused(reason: String)

    package static func of(_ answer: OTLPAnswer, for signal: OTLPSignal) -> OTLPOutcome {
        let after = answer.retryAfterSeconds
        if let failure = answer.failure {
            let reason = printable(failure.text)
            return switch failure.kind {
            case .unreachable, .unresolved: .retry(afterSeconds: 0, reason: reason)
            case .misconfigured(let advice): .retrySlowly(reason: reason, advice: advice)
            case .unanswered: .doubtful(afterSeconds: 0, reason: reason, isAnswer: false)
            }
        }
        if (200..<300).contains(answer.status) { return success(answer, signal) }
        let message = statusMessage(answer.body) ?? ""
        let reason =
            "\(answer.status)" + (answer.redirect.map { " to \($0)" } ?? "") + (message.isEmpty ? "" : ": \(message)")
            + way(answer)
        if message.contains("no org id") {
            // This is Tempo with multitenancy: 401, or 503 each time.
            return .retrySlowly(
                reason: reason,
                advice: "\(signal.backend) wants a tenant: set \(signal.section).headers to X-Scope-OrgID=<tenant>")
        }
        if answer.status == 400 && saysWantsTLS(message) {
            return .retrySlowly(reason: reason, advice: signal.wantsTLSAdvice)
        }
        if answer.status == 400 || answer.status == 415, saysWrongCompression(message) {
            return .retrySlowly(
                reason: reason,
                advice: "set \(signal.section).compression to what the backend accepts: gzip, zstd or none")
        }
        switch answer.status {
        case 413: return .tooLarge(reason: reason)
        case 400 where saysTooLarge(message), 429 where saysTooLarge(message): return .tooLarge(reason: reason)
        case 400, 422: return .refused(reason: reason)
        case 408, 425, 429, 503: return .retry(afterSeconds: after, reason: reason)
        case 502, 504: return .doubtful(afterSeconds: after, reason: reason, isAnswer: false)
        case 500...: return .doubtful(afterSeconds: after, reason: reason, isAnswer: true)
        default: return .retrySlowly(reason: reason, advice: advice(answer, signal))
        }
    }

    /// Returns the end of a reason: an answer may be that of the proxy. The advice for 407 names it already.
    private static func way(_ answer: OTLPAnswer) -> String {
        answer.status == 407 ? "" : TransferFailure.way(answer.proxyVariable)
    }

    private static let unreadEnd = "an answer so long that its end was not read"

    /// Tempo and the Collector answer with an ExportTraceServiceResponse (of metrics: a message of the same form), mostly an empty
    /// one; others with nothing, or with JSON, of which some say that it is text. A page comes from a server that answers every path
    /// so: the request was not accepted.
    private static func success(_ answer: OTLPAnswer, _ signal: OTLPSignal) -> OTLPOutcome {
        let type = answer.contentType.lowercased()
        let isCut = answer.isCut && !type.hasPrefix("text/")
        if let outcome = answer.body.withUnsafeBytes({ ExportOutcome($0, isCut: isCut) }) {
            let isUnread = answer.isCut && outcome == ExportOutcome()
            let message = isUnread ? unreadEnd : printable(outcome.message)
            return .accepted(rejected: Int(clamping: outcome.rejectedSpans), message: message)
        }
        // Some write a line end, or JSON behind a byte order mark.
        let text = answer.body.starts(with: [0xEF, 0xBB, 0xBF]) ? answer.body.dropFirst(3) : answer.body[...]
        let first = text.first { ![9, 10, 13, 32].contains($0) }
        if first == nil && !answer.isCut { return .accepted(rejected: 0, message: "") }
        if first == UInt8(ascii: "{") || type.hasPrefix("application/x-protobuf") {
            return .accepted(rejected: 0, message: answer.isCut ? unreadEnd : "")
        }
        return .retrySlowly(
            reason: "\(answer.status), but with a page in place of an answer: " + (statusMessage(answer.body) ?? "")
                + way(answer),
            advice: signal.wrongEndpointAdvice)
    }

    /// Tempo's words for a request over its size limit, and for one over the burst of its rate limit (a 429 that no
    /// waiting corrects).
    private static func saysTooLarge(_ message: String) -> Bool {
        message.contains("too large") || message.contains("batch size") && message.contains("exceeds")
    }

    /// Returns true for the words of Go's server (Tempo) and nginx for plain HTTP on a port for TLS. The bytes are not
    /// at fault, though it comes as 400.
    private static func saysWantsTLS(_ message: String) -> Bool {
        message.contains("HTTP request to an HTTPS server")
            || message.contains("plain HTTP request was sent to HTTPS port")
    }

    /// Returns true for the words of Prometheus, Mimir and the Collector for a compression that they don't accept; the
    /// status is 400 or 415.
    private static func saysWrongCompression(_ message: String) -> Bool {
        let message = message.lowercased()
        let isOfCompression = ["compression", "content-encoding", "content encoding", "unsupported encoding"].contains {
            message.contains($0)
        }
        return isOfCompression
            && ["unsupported", "not supported", "unknown", "not accepted"].contains { message.contains($0) }
    }

    private static func advice(_ answer: OTLPAnswer, _ signal: OTLPSignal) -> String {
        switch answer.status {
        case 401, 403:
            "check \(signal.section).headers, and the user and password of \(signal.section).endpoint"
                + (answer.hasEncodedHeader
                    ? "; header values are sent as they are written, so write %20 as a blank and %3D as =" : "")
        case 415: signal.wrongEndpointAdvice + " Does it accept \(signal.section).compression?"
        case 404, 405:
            "is the path of \(signal.section).endpoint right? It is a base URL; \(signal.path) is appended"
        case 300..<400:
            "the endpoint redirects: set \(signal.section).endpoint to \(target(of: answer))"
        case 407: "the proxy of \(answer.proxyVariable ?? "the environment") wants a user and password"
        default: signal.wrongEndpointAdvice
        }
    }

    private static func target(of answer: OTLPAnswer) -> String {
        if answer.redirect != nil { return "the address in the answer" }
        return answer.hasLocation
            ? "the address that its Location names, which is not shown: it may hold a secret, or is no URL"
            : "another address, which the answer does not name"
    }

    /// Returns the message of a google.rpc.Status, or the first printable bytes of what a proxy wrote.
    private static func statusMessage(_ body: [UInt8]) -> String? {
        if body.isEmpty { return nil }
        let message = body.withUnsafeBytes { readRPCStatusMessage($0) }
        let text = message ?? String(decoding: body.prefix(200), as: UTF8.self)
        return printable(text)
    }

    private static func printable(_ text: String) -> String {
        SafeText.oneLine(text, maxScalars: 300)
    }
}
