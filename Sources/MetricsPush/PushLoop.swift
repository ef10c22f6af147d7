import Metrics
import Model
import OTLPClient
import Platform
import Synchronization

/// The pusher's thread: one request at a time.
struct PushLoop: ~Copyable {
    private static let longestSleep = Duration.seconds(60)
    /// The bound that the thread promises for writing a request, and for checking one that is under way.
    private static let longestStep = Duration.seconds(10)

    private let owner: MetricsPusher
    private var progress: PushProgress
    private var name = EndpointName()
    private var port = EndpointPort()

    init(_ owner: MetricsPusher) {
        self.owner = owner
        progress = PushProgress(
            owner.options, owner.source, counters: owner.counters, log: PushLog(owner.logger, owner.options.backend),
            startedAt: owner.startedAt, now: owner.clock.monotonic())
    }

    mutating func run() {
        while true {
            let now = owner.clock.monotonic()
            if let ending {
                pushLast(ending.deadline)
                return owner.heartbeat.promise(by: nil)
            }
            if now >= progress.schedule.next {
                push(isLast: false)
                progress.advance(at: owner.clock.monotonic())
            } else {
                sleep(until: progress.schedule.next, from: now)
            }
        }
    }

    private var ending: PushEnding? { owner.ending.withLock { $0 } }

    private func sleep(until moment: MonotonicTime, from now: MonotonicTime) {
        let end = min(moment, now.advanced(by: Self.longestSleep))
        owner.heartbeat.promise(by: end)
        owner.multi.wait(milliseconds: end.milliseconds(from: now))
    }

    private mutating func pushLast(_ deadline: MonotonicTime) {
        guard let moment = progress.lastPush(at: owner.clock.monotonic(), deadline: deadline) else { return }
        while case let now = owner.clock.monotonic(), now < moment { sleep(until: moment, from: now) }
        push(isLast: true)
    }

    // MARK: One push

    private mutating func push(isLast: Bool) {
        progress.beginPush(owner.chunks(), at: owner.clock.wall())
        while let body = nextRequest() {
            let sentAt = owner.clock.monotonic()
            let answer = exchange(body, isLast: isLast)
            let now = owner.clock.monotonic()
            if !progress.settleRequest(answer, isLastPush: isLast, sentAt: sentAt, now: now) { return }
        }
        progress.endPush(at: owner.clock.monotonic())
    }

    /// Returns the next request; nil if the push has none left.
    private mutating func nextRequest() -> [UInt8]? {
        owner.heartbeat.promise(by: owner.clock.monotonic().advanced(by: Self.longestStep))
        return progress.nextRequest(at: owner.clock.wall())
    }

    /// Returns the answer to the request; nil where the process ended before.
    private mutating func exchange(_ body: [UInt8], isLast: Bool) -> OTLPAnswer? {
        let transfer = CurlTransfer(
            owner.options.backend, body: body, contentEncoding: progress.contents.contentEncoding,
            address: name.address(at: owner.clock.monotonic()))
        guard let transfer, owner.multi.add(transfer) else { return .failed(.noMemory) }
        owner.counters.recordHeldBytes(progress.contents.acknowledged.bytes + transfer.heldBytes)
        progress.log.endpoint = transfer.endpoint
        while true {
            owner.heartbeat.promise(by: owner.clock.monotonic().advanced(by: Self.longestStep))
            owner.multi.perform()
            if let (_, result) = owner.multi.nextDone() {
                owner.multi.remove(transfer)
                let answer = port.judged(transfer.answer(result), of: transfer, at: owner.clock.monotonic())
                guard isSentToLastAddress(transfer, answer) else { return answer }
            } else if ending?.isOver(isLastPush: isLast, at: owner.clock.monotonic()) == true {
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
        progress.log.recordLostName(address, answer.failure?.text ?? "", at: now)
        transfer.connect(to: address)
        return owner.multi.add(transfer)
    }
}
