import OTLPClient

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
}

/// The meaning of an answer for a push, in which nothing is repeated.
enum PushOutcome: Equatable {
    case accepted(rejectedPoints: Int, message: String)
    case failed(PushFailure)

    init(_ outcome: OTLPOutcome) {
        switch outcome {
        case .accepted(let rejected, let message): self = .accepted(rejectedPoints: rejected, message: message)
        case .retry(let after, let reason), .doubtful(let after, let reason, _):
            self = .failed(
                PushFailure(
                    kind: .passing, reason: reason, advice: Self.advice(reason), retryAfterSeconds: after))
        case .retrySlowly(let reason, let advice):
            self = .failed(PushFailure(kind: .misconfigured, reason: reason, advice: advice))
        case .tooLarge(let reason):
            self = .failed(
                PushFailure(
                    kind: .refused, reason: reason,
                    advice: "raise the backend's limit, or lower metrics.task-types and metrics.queues-max"))
        case .refused(let reason):
            self = .failed(PushFailure(kind: .refused, reason: reason, advice: Self.advice(reason)))
        }
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
