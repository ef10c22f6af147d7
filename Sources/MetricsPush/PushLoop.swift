import Metrics
import Model
import OTLPClient
import Platform
import Synchronization

/// The pusher's thread: one request at a time.
struct PushLoop: ~Copyable {
    private static let longestSleep = Duration.seconds(60)

    private let owner: MetricsPusher
    private let compressor: BodyCompressor
    private var schedule: PushSchedule
    private var log: PushLog
    private var name = EndpointName()
    /// The time of the snapshot that the backend acknowledged last.
    private var acknowledgedAt: WallTime?
    /// The acknowledged numbers; empty unless differences are pushed.
    private var acknowledged = AcknowledgedSeries()

    init(_ owner: MetricsPusher) {
        self.owner = owner
        compressor = BodyCompressor(owner.options.backend.compression)
        schedule = PushSchedule(interval: owner.options.interval, start: owner.clock.monotonic())
        log = PushLog(owner.logger, owner.options.backend)
    }

    mutating func run() {
        while true {
            let now = owner.clock.monotonic()
            if let ending { return pushLast(ending.deadline) }
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
        owner.multi.wait(milliseconds: end.milliseconds(from: now))
    }

    private mutating func pushLast(_ deadline: MonotonicTime) {
        guard let moment = schedule.last(at: owner.clock.monotonic(), deadline: deadline) else {
            return log.recordNoLastPush("the backend asked for a longer pause by Retry-After")
        }
        while case let now = owner.clock.monotonic(), now < moment { sleep(until: moment, from: now) }
        push(isLast: true)
    }

    // MARK: One push

    private mutating func push(isLast: Bool) {
        let families = owner.families()
        let time = owner.clock.wall()
        guard let body = body(families, at: time) else { return }
        let sentAt = owner.clock.monotonic()
        guard let answer = exchange(body, isLast: isLast) else {
            if isLast { log.recordNoLastPush("the backend did not answer in time") }
            return
        }
        let now = owner.clock.monotonic()
        let seconds = now.seconds(since: sentAt)
        switch PushOutcome(OTLPOutcome.of(answer, for: .metrics)) {
        case .accepted(let rejectedPoints, let message):
            acknowledgedAt = time
            if owner.options.temporality == .delta { acknowledged.acknowledge(families) }
            owner.counters.recordSuccess(
                code: answer.label, seconds: seconds, rejectedPoints: rejectedPoints, at: time)
            log.recordSuccess(rejectedPoints: rejectedPoints, message: message, at: now)
        case .failed(let failure):
            schedule.retryAfter(seconds: failure.retryAfterSeconds, at: now)
            owner.counters.recordFailure(code: answer.label, seconds: seconds, reason: failure.reason)
            log.recordFailure(failure, at: now)
        }
    }

    /// Returns the request as it is sent; nil where it is too large.
    private mutating func body(_ families: [MetricFamily], at time: WallTime) -> [UInt8]? {
        let options = owner.options
        let isDelta = options.temporality == .delta
        let content = OTLPMetrics(
            isDelta ? acknowledged.differences(families) : families, options.temporality, options.histograms,
            interval: OTLPMetrics.Interval(
                start: isDelta ? acknowledgedAt ?? owner.startedAt : owner.startedAt, end: time),
            // One that was being counted while the snapshot was taken may be in the next one only.
            exemplarsSince: acknowledgedAt?.advanced(by: .seconds(-1)))
        let writer = OTLPRequestWriter(owner.source, content)
        if writer.byteCount > options.maxRequestBytes {
            let reason = "a request of \(writer.byteCount) bytes; the limit is \(options.maxRequestBytes)"
            owner.counters.recordFailure(code: "too_large", seconds: nil, reason: reason)
            log.recordFailure(
                PushFailure(
                    kind: .refused, reason: reason, advice: "lower metrics.task-types and metrics.queues-max"),
                at: owner.clock.monotonic())
            return nil
        }
        return compressor.compress(piecesOf: writer.write)
    }

    /// Returns the answer to the request; nil where the process ended before.
    private mutating func exchange(_ body: [UInt8], isLast: Bool) -> OTLPAnswer? {
        let transfer = CurlTransfer(
            owner.options.backend, body: body, contentEncoding: compressor.contentEncoding,
            address: name.address(at: owner.clock.monotonic()))
        guard let transfer, owner.multi.add(transfer) else { return .failed(.noMemory) }
        log.endpoint = transfer.endpoint
        while true {
            owner.multi.perform()
            if let (_, result) = owner.multi.nextDone() {
                owner.multi.remove(transfer)
                let answer = transfer.answer(result)
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
