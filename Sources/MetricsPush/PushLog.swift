import Logging
import Model
import OTLPClient
import Platform

/// Logs the results of pushes: a line for each cause, and one when they work again.
struct PushLog {
    private let logger: Logger
    /// The endpoint of the last request: a file may change it.
    var endpoint: OTLPEndpoint
    private let show: @Sendable (String) -> String
    private var failures = CauseLog()
    private var leftOut = CauseLog()
    private var remarks = CauseLog()
    private var lostName = LostNameLog("metrics.push.endpoint")

    init(_ logger: Logger, _ backend: OTLPBackend) {
        self.logger = logger
        endpoint = backend.endpoint
        show = backend.show
    }

    mutating func recordCompletePush(at now: MonotonicTime) {
        if failures.recordEnd(at: now) { logger.notice("metrics are pushed again") }
    }

    mutating func recordAllSeries(at now: MonotonicTime) {
        if leftOut.recordEnd(at: now) { logger.notice("no series are left out of pushes any more") }
    }

    mutating func recordRemark(rejectedPoints: Int, message: String, at now: MonotonicTime) {
        if rejectedPoints == 0 && message.isEmpty { return }
        let cause = (rejectedPoints > 0 ? "rejected" : "remark") + (message.isEmpty ? " without words" : "")
        guard let more = remarks.take(message, of: cause, at: now) else { return }
        logger.warning(
            rejectedPoints > 0
                ? "the backend took a push of metrics but for some data points"
                : "the backend took a push of metrics with a remark",
            metadata: ["points": "\(rejectedPoints)", "reason": "\(message)", "more_since_last_line": "\(more)"])
    }

    /// - Parameter code: The code of the answer: a status, or what broke the request.
    mutating func recordFailure(_ failure: PushFailure, code: String, at now: MonotonicTime) {
        let endpoint = show(endpoint.url)
        // The failure with a pause is a cause of its own: its line follows that of the same failure without one.
        let isPaused = failure.pause > .zero
        let cause = "\(failure.kind) \(code) \(failure.advice ?? "") \(endpoint) \(isPaused ? "paused" : "")"
        let line =
            failure.kind == .full
            ? leftOut.take(failure.reason, of: cause, at: now) : failures.take(failure.reason, of: cause, at: now)
        guard let more = line else { return }
        var metadata: Logger.Metadata = [
            "endpoint": "\(endpoint)", "reason": "\(failure.reason)", "more_since_last_line": "\(more)",
        ]
        if let advice = failure.advice { metadata["advice"] = "\(advice)" }
        if isPaused { metadata["pause_seconds"] = "\(failure.pause.inSeconds)" }
        switch failure.kind {
        case .passing: logger.warning("metrics could not be pushed; the next push has them", metadata: metadata)
        case .misconfigured: logger.error("pushing metrics is misconfigured", metadata: metadata)
        case .refused: logger.error("the backend does not take these metrics", metadata: metadata)
        case .full: logger.error("series are left out of pushes", metadata: metadata)
        }
    }

    mutating func recordLostName(_ address: LastAddress, _ reason: String, at now: MonotonicTime) {
        lostName.record(address, of: show(endpoint.url), reason: reason, in: logger, at: now)
    }

    func recordNoLastPush(_ reason: String) {
        logger.warning(
            "the last numbers could not be pushed",
            metadata: ["endpoint": "\(show(endpoint.url))", "reason": "\(reason)"])
    }
}
