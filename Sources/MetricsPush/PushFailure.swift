import OTLPClient
import Platform

/// The reason why a push failed, and whether that can pass by itself.
struct PushFailure: Equatable {
    enum Kind {
        /// It is an outage, a limit of rates, or a fault of the backend.
        case passing
        /// A key has the wrong value.
        case misconfigured
        /// The backend does not accept such numbers, or not this many.
        case refused
        /// Memory for differences is used up.
        case full
    }

    let kind: Kind
    let reason: String
    var advice: String?
    /// The seconds that the backend asks for by `Retry-After`.
    var retryAfterSeconds: UInt64 = 0
    /// True if the backend may accept the other requests of the push.
    var isOfOneRequest = false

    /// The time until the next request; zero where the backend asks for none.
    var pause: Duration { Backoff.askedPause(retryAfterSeconds) }
}

/// The meaning of an answer for a push, in which nothing is repeated.
enum PushOutcome: Equatable {
    case accepted(rejectedPoints: Int, message: String)
    case failed(PushFailure)

    /// - Parameters:
    ///   - points: The number of data points of the request. Where the backend rejects as many, it has accepted nothing.
    ///   - isRateLimit: True for the status 429: whatever its words, no request may follow.
    ///   - retryAfterSeconds: The pause that the backend asks for, with whatever outcome.
    init(
        _ outcome: OTLPOutcome, points: Int = .max, isRateLimit: Bool = false, retryAfterSeconds: UInt64 = 0
    ) {
        var failure: PushFailure
        switch outcome {
        case .accepted(let rejected, let message) where rejected > 0 && rejected >= points:
            let words = message.isEmpty ? "" : ": " + message
            failure = Self.failure(.refused, "the backend rejects every data point" + words)
            failure.isOfOneRequest = true
        case .accepted(let rejected, let message):
            self = .accepted(rejectedPoints: rejected, message: message)
            return
        case .retry(let after, let reason), .doubtful(let after, let reason, _):
            failure = Self.failure(.passing, reason)
            failure.retryAfterSeconds = after
        case .retrySlowly(let reason, let advice):
            failure = PushFailure(kind: .misconfigured, reason: reason, advice: advice)
        case .tooLarge(let reason):
            failure = PushFailure(
                kind: isRateLimit ? .passing : .refused, reason: reason,
                advice: "raise the backend's limit, or lower metrics.task-types and metrics.queues-max")
            failure.isOfOneRequest = true
        case .refused(let reason):
            failure = Self.failure(.refused, reason)
            failure.isOfOneRequest = true
        }
        failure.retryAfterSeconds = max(failure.retryAfterSeconds, retryAfterSeconds)
        if isRateLimit || failure.retryAfterSeconds > 0 { failure.isOfOneRequest = false }
        self = .failed(failure)
    }

    /// Returns a failure that no later push repairs where the words say what to change.
    private static func failure(_ kind: PushFailure.Kind, _ reason: String) -> PushFailure {
        let advice = advice(reason)
        return PushFailure(kind: advice == nil ? kind : .misconfigured, reason: reason, advice: advice)
    }

    /// Returns what to change where the words say it.
    private static func advice(_ reason: String) -> String? {
        if reason.contains("native histograms are disabled") {
            return
                "set metrics.push.histograms to explicit, or start Prometheus with --enable-feature=native-histograms"
        }
        if reason.contains("invalid temporality") {
            return "set metrics.push.temporality to cumulative: the backend takes no delta"
        }
        return nil
    }
}
