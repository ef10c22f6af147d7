import OTLP

/// What came of one request: an answer, or the reason why there is none.
struct ForwardAnswer {
    /// The HTTP status; 0 when no answer came.
    var status = 0
    var body: [UInt8] = []
    /// Seconds that `Retry-After` asks for (a number or a date), 0 when absent.
    var retryAfterSeconds: UInt64 = 0
    /// libcurl's word for a failed transfer.
    var failure: String?
    var failureLabel = ""

    /// The `code` of `asynq_collector_forward_requests_total`.
    var label: String { status > 0 ? String(status) : failureLabel }
}

/// Why spans were given up: the `reason` of `asynq_collector_dropped_spans_total`, beside the spool's own.
package enum ForwardDrop: String, CaseIterable, Sendable {
    /// The backend took the request but said in partial success that it left these spans out.
    case rejected
    /// The backend refused the request for good.
    case refused
}

/// What to do with a batch after an answer.
enum ForwardOutcome: Equatable {
    case accepted(rejectedSpans: Int, message: String)
    /// Try again, not before the backend asks for it.
    case retry(afterSeconds: UInt64, reason: String)
    /// Configuration is wrong or the far side is the wrong one: try again at the slowest pace, and say so loudly.
    case retrySlowly(reason: String)
    /// The same bytes can't succeed: split, or drop what can't be split.
    case refused(reason: String)

    /// Source of the split: https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes, and what Tempo does.
    static func of(_ answer: ForwardAnswer) -> ForwardOutcome {
        if let failure = answer.failure { return .retry(afterSeconds: 0, reason: failure) }
        let reason = "\(answer.status)" + (statusMessage(answer.body).map { ": \($0)" } ?? "")
        switch answer.status {
        case 200..<300:
            let outcome = answer.body.withUnsafeBytes { ExportOutcome($0) }
            return .accepted(rejectedSpans: Int(clamping: outcome?.rejectedSpans ?? 0), message: outcome?.message ?? "")
        case 429 where reason.contains("batch size") && reason.contains("exceeds"):
            // Tempo's word for a request that is larger than its burst: no waiting makes it fit.
            return .refused(reason: reason)
        case 408, 429, 500, 502, 503, 504: return .retry(afterSeconds: answer.retryAfterSeconds, reason: reason)
        case 300..<400, 401, 403, 404, 405, 407: return .retrySlowly(reason: reason)
        default: return .refused(reason: reason)
        }
    }

    /// The message of a google.rpc.Status, or the first printable bytes of whatever a proxy wrote.
    private static func statusMessage(_ body: [UInt8]) -> String? {
        if body.isEmpty { return nil }
        let message = body.withUnsafeBytes { readRPCStatusMessage($0) }
        let text = message ?? String(decoding: body.prefix(200), as: UTF8.self)
        return String(text.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }.prefix(300).map(Character.init))
    }
}

/// Exponential backoff with jitter, for the destination as a whole: after a failure nothing is sent until the pause is
/// over, then one request probes, and the first success opens the gate again.
struct Backoff {
    let initialNanoseconds: UInt64
    let maxNanoseconds: UInt64
    private(set) var failures = 0

    /// The pause after one more failure, in nanoseconds. `jitter` is a random number in 0..<1.
    mutating func fail(retryAfterSeconds: UInt64, slowly: Bool, jitter: Double) -> UInt64 {
        failures += 1
        if retryAfterSeconds > 0 { return Self.askedNanoseconds(retryAfterSeconds) }
        var pause = slowly ? maxNanoseconds : initialNanoseconds
        for _ in 1..<max(2, min(failures, 32)) where pause < maxNanoseconds && failures > 1 { pause &*= 2 }
        pause = min(pause, maxNanoseconds)
        return UInt64(Double(pause) * (0.75 + 0.5 * jitter))
    }

    /// What the backend asked for by `Retry-After`. One that asks for more than an hour is asked again after one.
    static func askedNanoseconds(_ retryAfterSeconds: UInt64) -> UInt64 {
        min(retryAfterSeconds, 3600) * 1_000_000_000
    }

    mutating func succeed() {
        failures = 0
    }
}
