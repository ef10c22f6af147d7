import Metrics
import Model
import OTLPClient
import Platform

/// The pushes as far as their requests and answers decide them: what is sent next and when, what is counted and logged.
/// `PushLoop` sends the requests.
struct PushProgress: ~Copyable {
    private let counters: PushCounters
    private(set) var contents: PushContents
    private(set) var schedule: PushSchedule
    var log: PushLog
    /// True until a request of the push under way is refused.
    private var isComplete = true
    /// True once the backend has accepted a request of the push under way.
    private var isPartlyAccepted = false
    /// What the backend said of data points of the push under way that it left out; nil where it has taken all.
    private var rejection: String?

    private enum Ending {
        case accepted
        /// The backend does not take this request; it may take the others.
        case refused
        /// The push is over.
        case failed
    }

    init(
        _ options: MetricsPushOptions, _ source: OTLPMetrics.Source, counters: PushCounters, log: PushLog,
        startedAt: WallTime, now: MonotonicTime
    ) {
        self.counters = counters
        self.log = log
        contents = PushContents(options, source, startedAt: startedAt)
        schedule = PushSchedule(interval: options.interval, start: now)
    }

    mutating func beginPush(_ chunks: FamilyChunks, at time: WallTime) {
        contents.beginPush(chunks, at: time)
        (isComplete, isPartlyAccepted, rejection) = (true, false, nil)
    }

    /// Returns the next request of the push; nil if it has none left.
    mutating func nextRequest(at time: WallTime) -> [UInt8]? {
        contents.writeRequest(at: time) ? contents.takeBody() : nil
    }

    /// Settles the request that was sent last. Returns false where that ends the push.
    ///
    /// - Parameter answer: The answer; nil where the process ends before it.
    mutating func settleRequest(
        _ answer: OTLPAnswer?, isLastPush: Bool, sentAt: MonotonicTime, now: MonotonicTime
    ) -> Bool {
        let ending = ending(of: answer, isLastPush: isLastPush, sentAt: sentAt, now: now)
        if ending == .refused {
            contents.settleRefusedRequest()
            isComplete = false
        } else {
            contents.settleRequest(isAcknowledged: ending == .accepted)
        }
        counters.recordHeldBytes(contents.acknowledged.bytes)
        if ending == .accepted { isPartlyAccepted = true }
        if ending == .failed { counters.recordFailedPush(isPartlyAccepted: isPartlyAccepted) }
        return ending != .failed
    }

    private mutating func ending(
        of answer: OTLPAnswer?, isLastPush: Bool, sentAt: MonotonicTime, now: MonotonicTime
    ) -> Ending {
        guard let answer else {
            if isLastPush { log.recordNoLastPush("the backend did not answer in time") }
            return .failed
        }
        let seconds = now.seconds(since: sentAt)
        let outcome = OTLPOutcome.of(answer, for: .metrics)
        let result = PushOutcome(
            outcome, points: contents.pointCount, isRateLimit: answer.isRateLimit,
            retryAfterSeconds: answer.retryAfterSeconds)
        switch result {
        case .accepted(let claimed, let message):
            let rejectedPoints = max(0, claimed)
            counters.recordSuccess(code: answer.code(outcome), seconds: seconds, rejectedPoints: rejectedPoints)
            log.recordRemark(rejectedPoints: rejectedPoints, message: message, at: now)
            if rejectedPoints > 0 {
                rejection = "\(rejectedPoints) data points rejected" + (message.isEmpty ? "" : ": " + message)
            }
            return .accepted
        case .failed(let failure):
            var (code, rejectedPoints) = (answer.code(outcome), 0)
            if case .accepted = outcome { (code, rejectedPoints) = ("rejected", contents.pointCount) }
            schedule.pause(failure.pause, at: now)
            counters.recordFailure(
                code: code, seconds: seconds, rejectedPoints: rejectedPoints, reason: failure.reason)
            log.recordFailure(failure, code: code, at: now)
            return failure.isOfOneRequest ? .refused : .failed
        }
    }

    /// Ends a push of which all requests were sent.
    mutating func endPush(at now: MonotonicTime) {
        let began = contents.endPush(isAcknowledged: isComplete)
        if isComplete {
            counters.recordCompletePush(at: began, rejection: rejection)
            log.recordCompletePush(at: now)
        } else {
            counters.recordFailedPush(isPartlyAccepted: isPartlyAccepted)
        }
        let leftOut = contents.acknowledged.leftOut
        guard leftOut > 0 else { return log.recordAllSeries(at: now) }
        let failure = PushFailure(
            kind: .full, reason: "\(leftOut) series are more than can be remembered for differences",
            advice: "raise memory.limit, or set metrics.push.temporality to cumulative")
        counters.recordFailure(code: "memory", seconds: nil, reason: failure.reason)
        counters.recordFailedPush(isPartlyAccepted: true)
        log.recordFailure(failure, code: "memory", at: now)
    }

    /// Plans the push after the one that was due.
    mutating func advance(at now: MonotonicTime) { schedule.advance(at: now) }

    /// Returns the time at which the last push may be sent; nil where there is none, which is logged.
    func lastPush(at now: MonotonicTime, deadline: MonotonicTime) -> MonotonicTime? {
        let moment = schedule.last(at: now, deadline: deadline)
        if moment == nil {
            log.recordNoLastPush(
                now < deadline ? "the backend asked for a longer pause by Retry-After" : "no time was left for it")
        }
        return moment
    }
}

/// The end of the process, as pushes see it.
struct PushEnding {
    /// The time when the process began to end.
    let begin: MonotonicTime
    /// What was pushed last has to be answered by then.
    let deadline: MonotonicTime

    /// Returns true if a request has no time left. One of a push that is under way when the process begins to end gets
    /// half of the time, one of the last push gets all of it.
    func isOver(isLastPush: Bool, at now: MonotonicTime) -> Bool {
        let patience = isLastPush ? .zero : deadline.duration(since: begin) / 2
        return now.advanced(by: patience) >= deadline
    }
}
