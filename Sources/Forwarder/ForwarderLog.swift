import Logging
import Model
import OTLPClient
import Spool
import Text

/// The log lines about answers: each cause now and then, however often it comes. All are counted elsewhere.
struct ForwarderLog {
    private static let pause = Duration.seconds(10)

    private let logger: Logger
    /// The endpoint of the last request: a file may change it.
    var endpoint: OTLPEndpoint
    private let show: @Sendable (String) -> String
    /// The limits of the lines about answers, by what is told, the code of the answer, the advice and the words.
    private var answers = LogLimits(pause: pause)
    /// The limits of the lines about the disk, by what is told and the words.
    private var faults = LogLimits(pause: pause)
    private var behind = LogLimit(pause: pause)
    private var lostName = LostNameLog("tempo.endpoint")
    /// True if a failure was logged, and its end was not yet.
    private var toldOfFailure = false

    /// - Parameter show: Returns a URL without its credentials.
    init(_ logger: Logger, endpoint: OTLPEndpoint, show: @escaping @Sendable (String) -> String) {
        self.logger = logger
        self.endpoint = endpoint
        self.show = show
    }

    /// - Parameter code: The code of the answer that had the effect: a status, or what broke the request.
    mutating func record(_ effect: DispatchEffect, code: String = "", at now: MonotonicTime) {
        switch effect {
        case .settle: return
        case .answered:
            if toldOfFailure { logger.notice("forwarding again") }
            toldOfFailure = false
        case .paused(let reason, let pause):
            guard let more = answers.take("paused \(code)", text: reason, at: now) else { return }
            logger.warning(
                "the backend asks for a pause, nothing is sent until it is over",
                metadata: [
                    "reason": "\(reason)", "pause_seconds": "\(pause.inSeconds)", "more_since_last_line": "\(more)",
                ])
        case .failing(let reason, let advice, let pause):
            recordFailure(reason, code: code, advice: advice, pause: pause, at: now)
        case .refused(let address, let reason):
            guard let more = answers.take("refused \(code)", text: reason, at: now) else { return }
            logger.error(
                "the backend does not take these spans; they are dropped, a copy is in the spool's directory refused/",
                metadata: ["spans": "\(address.spanCount)", "reason": "\(reason)", "more_since_last_line": "\(more)"])
        case .rejected(let spans, let message):
            guard let more = answers.take("rejected \(code)", text: message, at: now) else { return }
            logger.warning(
                spans > 0
                    ? "the backend took a request but for some spans" : "the backend took a request with a remark",
                metadata: ["spans": "\(spans)", "reason": "\(message)", "more_since_last_line": "\(more)"])
        case .suspected(let spans, let reason):
            guard let more = answers.take("suspected \(code)", text: reason, at: now) else { return }
            logger.warning(
                "a request failed while others passed, will retry it by itself",
                metadata: ["spans": "\(spans)", "reason": "\(reason)", "more_since_last_line": "\(more)"])
        case .tooLarge(let spans, let bytes, let reason):
            guard let more = answers.take("tooLarge \(code)", text: reason, at: now) else { return }
            logger.warning(
                "the backend finds a request too large; it is sent in parts. Lower tempo.batch.max-bytes, or raise its limit",
                metadata: [
                    "spans": "\(spans)", "bytes": "\(bytes)", "reason": "\(reason)", "more_since_last_line": "\(more)",
                ])
        }
    }

    mutating func record(_ failure: RefusedRequests.NotKept, at now: MonotonicTime) {
        guard let more = faults.take("notKept", text: failure.problem, at: now) else { return }
        logger.warning(
            "no copy of a refused request could be kept",
            metadata: ["error": "\(failure.problem)", "more_since_last_line": "\(more)"])
    }

    mutating func recordLostName(_ address: LastAddress, _ reason: String, at now: MonotonicTime) {
        lostName.record(address, of: show(endpoint.url), reason: reason, in: logger, at: now)
    }

    mutating func recordSection(behind spans: Int, at now: MonotonicTime) {
        guard let more = behind.take(at: now) else { return }
        logger.notice(
            "old spans wait; new ones are sent beside them",
            metadata: ["waiting_spans": "\(spans)", "more_since_last_line": "\(more)"])
    }

    mutating func record(_ error: SpoolError, at now: MonotonicTime) {
        guard let more = faults.take("unread", text: "\(error)", at: now) else { return }
        logger.error("spool read failed", metadata: ["error": "\(error)", "more_since_last_line": "\(more)"])
    }

    private mutating func recordFailure(
        _ reason: String, code: String, advice: String?, pause: Duration, at now: MonotonicTime
    ) {
        guard let more = answers.take("failing \(code) \(advice ?? "")", text: reason, at: now) else { return }
        toldOfFailure = true
        var metadata: Logger.Metadata = [
            "endpoint": "\(show(endpoint.url))", "reason": "\(reason)", "pause_seconds": "\(pause.inSeconds)",
            "more_since_last_line": "\(more)",
        ]
        if let advice {
            metadata["advice"] = "\(advice)"
            logger.error(
                "forwarding is misconfigured; spans wait in the spool", metadata: metadata)
        } else {
            logger.warning("forwarding failed, will retry", metadata: metadata)
        }
    }
}
