import Metrics
import Model
import OTLPClient
import Platform
import Synchronization

/// The pusher's thread: one request at a time.
struct PushLoop: ~Copyable {
    private static let longestSleep = Duration.seconds(60)
    /// The bound that the thread promises for writing a request, and for a look at one that is under way.
    private static let longestStep = Duration.seconds(10)

    private enum Ending {
        case accepted
        /// The backend does not take this request; it may take the others.
        case refused
        /// The push is over.
        case failed
    }

    private let owner: MetricsPusher
    private var contents: PushContents
    private var schedule: PushSchedule
    private var log: PushLog
    private var name = EndpointName()
    private var port = EndpointPort()

    init(_ owner: MetricsPusher) {
        self.owner = owner
        contents = PushContents(owner.options, owner.source, startedAt: owner.startedAt)
        schedule = PushSchedule(interval: owner.options.interval, start: owner.clock.monotonic())
        log = PushLog(owner.logger, owner.options.backend)
    }

    mutating func run() {
        while true {
            let now = owner.clock.monotonic()
            if let ending {
                pushLast(ending.deadline)
                return owner.heartbeat.promise(by: nil)
            }
            if now >= schedule.next {
                push(isLast: false)
                schedule.advance(at: owner.clock.monotonic())
            } else {
                sleep(until: schedule.next, from: now)
            }
        }
    }

    private var ending: (from: MonotonicTime, deadline: MonotonicTime)? { owner.control.withLock { $0.ending } }

    private func sleep(until moment: MonotonicTime, from now: MonotonicTime) {
        let end = min(moment, now.advanced(by: Self.longestSleep))
        owner.heartbeat.promise(by: end)
        owner.multi.wait(milliseconds: end.milliseconds(from: now))
    }

    private mutating func pushLast(_ deadline: MonotonicTime) {
        let now = owner.clock.monotonic()
        guard let moment = schedule.last(at: now, deadline: deadline) else {
            return log.recordNoLastPush(
                now < deadline ? "the backend asked for a longer pause by Retry-After" : "no time was left for it")
        }
        while case let now = owner.clock.monotonic(), now < moment { sleep(until: moment, from: now) }
        push(isLast: true)
    }

    // MARK: One push

    private mutating func push(isLast: Bool) {
        contents.beginPush(owner.chunks(), at: owner.clock.wall())
        var isComplete = true
        var isPartlyAccepted = false
        while isRequestWritten() {
            let ending = send(isLast: isLast)
            if ending == .refused {
                contents.settleRefusedRequest()
                isComplete = false
            } else {
                contents.settleRequest(isAcknowledged: ending == .accepted)
            }
            owner.counters.recordHeldBytes(contents.acknowledged.bytes)
            if ending == .failed { return owner.counters.recordFailedPush(isPartlyAccepted: isPartlyAccepted) }
            if ending == .accepted { isPartlyAccepted = true }
        }
        let began = contents.endPush(isAcknowledged: isComplete)
        if isComplete {
            owner.counters.recordCompletePush(at: began)
            log.recordCompletePush(at: owner.clock.monotonic())
        } else {
            owner.counters.recordFailedPush(isPartlyAccepted: isPartlyAccepted)
        }
        recordLeftOut()
    }

    /// Writes the next request. Returns false if the push has none left.
    private mutating func isRequestWritten() -> Bool {
        owner.heartbeat.promise(by: owner.clock.monotonic().advanced(by: Self.longestStep))
        return contents.writeRequest(at: owner.clock.wall())
    }

    private mutating func send(isLast: Bool) -> Ending {
        let sentAt = owner.clock.monotonic()
        guard let answer = exchange(isLast: isLast) else {
            if isLast { log.recordNoLastPush("the backend did not answer in time") }
            return .failed
        }
        let now = owner.clock.monotonic()
        let seconds = now.seconds(since: sentAt)
        let outcome = OTLPOutcome.of(answer, for: .metrics)
        let code = answer.code(outcome)
        switch PushOutcome(outcome, isRateLimit: answer.isRateLimit, retryAfterSeconds: answer.retryAfterSeconds) {
        case .accepted(let claimed, let message):
            let rejectedPoints = min(max(0, claimed), contents.pointCount)
            owner.counters.recordSuccess(code: code, seconds: seconds, rejectedPoints: rejectedPoints)
            log.recordRemark(rejectedPoints: rejectedPoints, message: message, at: now)
            return .accepted
        case .failed(let failure):
            schedule.pause(failure.pause, at: now)
            owner.counters.recordFailure(code: code, seconds: seconds, reason: failure.reason)
            log.recordFailure(failure, code: code, at: now)
            return failure.isOfOneRequest ? .refused : .failed
        }
    }

    private mutating func recordLeftOut() {
        guard contents.acknowledged.leftOut > 0 else { return log.recordAllSeries(at: owner.clock.monotonic()) }
        let failure = PushFailure(
            kind: .full,
            reason: "\(contents.acknowledged.leftOut) series are more than can be remembered for differences",
            advice: "raise memory.limit, or set metrics.push.temporality to cumulative")
        owner.counters.recordFailure(code: "memory", seconds: nil, reason: failure.reason)
        owner.counters.recordFailedPush(isPartlyAccepted: true)
        log.recordFailure(failure, code: "memory", at: owner.clock.monotonic())
    }

    /// Returns the answer to the request; nil where the process ended before.
    private mutating func exchange(isLast: Bool) -> OTLPAnswer? {
        let transfer = CurlTransfer(
            owner.options.backend, body: contents.takeBody(), contentEncoding: contents.contentEncoding,
            address: name.address(at: owner.clock.monotonic()))
        guard let transfer, owner.multi.add(transfer) else { return .failed(.noMemory) }
        owner.counters.recordHeldBytes(contents.acknowledged.bytes + transfer.heldBytes)
        log.endpoint = transfer.endpoint
        while true {
            owner.heartbeat.promise(by: owner.clock.monotonic().advanced(by: Self.longestStep))
            owner.multi.perform()
            if let (_, result) = owner.multi.nextDone() {
                owner.multi.remove(transfer)
                let answer = port.judged(transfer.answer(result), of: transfer, at: owner.clock.monotonic())
                guard isSentToLastAddress(transfer, answer) else { return answer }
            } else if hasToEnd(isLast: isLast) {
                owner.multi.remove(transfer)
                return nil
            } else {
                owner.multi.wait(milliseconds: 100)
            }
        }
    }

    /// Sends the request again, to the last address, where its name could not be looked up. Returns true if it did.
    private mutating func isSentToLastAddress(_ transfer: CurlTransfer, _ answer: OTLPAnswer) -> Bool {
        let now = owner.clock.monotonic()
        let address = name.recordAnswer(answer, from: transfer.endpoint, ofLookUp: !transfer.hasAddress, at: now)
        guard let address else { return false }
        log.recordLostName(address, answer.failure?.text ?? "", at: now)
        transfer.connect(to: address)
        return owner.multi.add(transfer)
    }

    /// Returns true if the time is over. A push that is under way when the process ends gets half of what is left, the
    /// last one gets all of it.
    private func hasToEnd(isLast: Bool) -> Bool {
        guard let ending else { return false }
        let patience = isLast ? .zero : ending.deadline.duration(since: ending.from) / 2
        return owner.clock.monotonic().advanced(by: patience) >= ending.deadline
    }
}
