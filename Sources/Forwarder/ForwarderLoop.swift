import Logging
import Metrics
import Model
import OTLPClient
import Platform
import Spool
import Synchronization

/// The forwarder's thread: asks `Dispatch` what to send, moves the bytes by libcurl, and does what an answer leads to.
struct ForwarderLoop: ~Copyable {
    private struct InFlight {
        let transfer: CurlTransfer
        let delivery: Delivery
    }

    /// The pause after a failed read of the disk.
    private static let readPause = Duration.seconds(1)
    /// The longest time between two sleeps; nothing in between waits for a peer.
    private static let longestRound = Duration.seconds(5)

    private let owner: Forwarder
    private let compressor: BodyCompressor
    private var dispatch: Dispatch
    private var inFlight: [UnsafeMutableRawPointer: InFlight] = [:]
    private var log: ForwarderLog
    private let refusedRequests: RefusedRequests?
    private var generator = SystemRandomNumberGenerator()
    private var isHurrying = false
    private var name = EndpointName()
    private var port = EndpointPort()
    private var turns: ReadTurns

    init(_ owner: Forwarder) {
        self.owner = owner
        compressor = BodyCompressor(owner.options.backend.compression)
        dispatch = Dispatch(owner.options)
        log = ForwarderLog(
            owner.logger, endpoint: owner.options.backend.endpoint, show: owner.options.backend.show)
        refusedRequests = owner.options.refused.map { RefusedRequests($0) }
        turns = ReadTurns(owner.options)
    }

    mutating func run() {
        while true {
            let (isStopping, deadline) = owner.control.withLock { ($0.isStopping, $0.drainDeadline) }
            let now = owner.clock.monotonic()
            owner.heartbeat.promise(by: now.advanced(by: Self.longestRound))
            if isStopping && !isHurrying { dispatch.hurry(at: now) }
            isHurrying = isStopping
            let (moment, newest) = startRequests(at: now, flushing: isStopping)
            let isIdle = dispatch.inFlight == 0
            let hasNothing = dispatch.isOver || moment.map { $0 >= deadline } ?? true
            if isStopping && (now >= deadline || isIdle && hasNothing) { break }
            owner.multi.perform()
            if finishRequests() { continue }
            sleep(until: [moment, isStopping ? deadline : nil], newest: newest)
        }
        owner.heartbeat.promise(by: nil)
        // Answers that have not come yet are unknown: those requests stay in the spool.
        for entry in inFlight.values { owner.multi.remove(entry.transfer) }
    }

    // MARK: Sending

    /// Sends all that may be sent. Returns the time at which there may be more, nil while only an answer changes that,
    /// and the unread part of the newest section at the last look.
    private mutating func startRequests(
        at now: MonotonicTime, flushing: Bool
    ) -> (moment: MonotonicTime?, newest: SpoolUnread) {
        beginSection(at: now)
        while true {
            let waiting = owner.spool.waiting
            let freshAt = SpoolSection.allCases.compactMap { section in
                turns.moment(of: section, waiting, at: now, flushing: flushing, isProbing: dispatch.isProbing)
            }.min()
            switch dispatch.next(at: now, freshAt: freshAt) {
            case .wait(let moment): return (moment, waiting.newest)
            case .send(let delivery): sendAgain(delivery, at: now)
            case .read(let isLone):
                let section = turns.choose(waiting, at: now, flushing: flushing, isProbing: dispatch.isProbing)
                if let section, !sendFresh(from: section, isLone: isLone, at: now) {
                    return (now, waiting.newest)
                }
            }
        }
    }

    /// Begins a section once old spans wait, so that new ones go beside them.
    private mutating func beginSection(at now: MonotonicTime) {
        let unread = owner.spool.unread
        let isBlocked = dispatch.isBlocked(at: now)
        guard turns.wantsSection(unread, isBlocked: isBlocked, at: now), owner.spool.beginSection() else { return }
        log.recordSection(behind: unread.spans, at: now)
    }

    /// Reads on and sends what comes. Returns false where all of it has expired.
    private mutating func sendFresh(from section: SpoolSection, isLone: Bool, at now: MonotonicTime) -> Bool {
        do throws(SpoolError) {
            // The spool returns one request at least.
            var batch = try owner.spool.readBatch(
                from: section, maxBytes: owner.options.maxBatchBytes, maxSpans: isLone ? 1 : turns.maxSpans(of: section)
            )
            turns.recordRead(batch.spanCount, from: section, at: now)
            if batch.isEmpty { return false }
            let delivery = dispatch.begin(batch.frames, unsentSpans: batch.unsentSpans, at: now)
            if let delivery { start(delivery, body: batch.takeBytes(), at: now) }
        } catch {
            // The spool counts the failure; the frames stay where they are, and the disk gets a pause.
            turns.recordFailure(of: section, at: now)
            log.record(error, at: now)
        }
        return true
    }

    /// Sends a delivery that waited, without what has become older than `spool.max-age`, or is gone from the spool.
    private mutating func sendAgain(_ delivery: Delivery, at now: MonotonicTime) {
        do throws(SpoolError) {
            let batch = try owner.spool.read(delivery.address)
            guard var left = delivery.keeping(batch.frames) else { return dispatch.forget(delivery) }
            guard let body = left.body(batch) else {
                return finish(left, .refused(reason: "a request that can't be divided"), at: now)
            }
            left.bytes = body.count
            start(left, body: body, at: now)
        } catch {
            dispatch.postpone(delivery, until: now.advanced(by: Self.readPause))
            log.record(error, at: now)
        }
    }

    private mutating func start(_ delivery: Delivery, body: consuming [UInt8], at now: MonotonicTime) {
        // The payloads are freed before libcurl's copy is made.
        let compressed = compressor.compress(body)
        // A suspect gets a connection of its own: one backend behind the connection that it failed on may be broken.
        let transfer = CurlTransfer(
            owner.options.backend, body: compressed, contentEncoding: compressor.contentEncoding,
            address: name.address(at: now),
            onConnectionOfItsOwn: delivery.isSuspect)
        guard let transfer, owner.multi.add(transfer)
        else {
            finish(delivery, .retry(afterSeconds: 0, reason: "libcurl has no memory for a request"), at: now)
            return
        }
        inFlight[transfer.handle] = InFlight(transfer: transfer, delivery: delivery)
        hold(transfer.heldBytes)
        if transfer.endpoint != log.endpoint {
            log.endpoint = transfer.endpoint
            owner.control.withLock { $0.statistics.endpoint = transfer.endpoint }
        }
    }

    private mutating func hold(_ bytes: Int) {
        dispatch.heldBytes += bytes
        owner.control.withLock { $0.statistics.heldBytes += bytes }
    }

    // MARK: Answers

    /// Takes the answers. Returns true if there were some.
    private mutating func finishRequests() -> Bool {
        var hasAnswers = false
        while let (easy, result) = owner.multi.nextDone() {
            guard let entry = inFlight.removeValue(forKey: easy) else { continue }
            hasAnswers = true
            owner.multi.remove(entry.transfer)
            hold(-entry.transfer.heldBytes)
            let answer = port.judged(entry.transfer.answer(result), of: entry.transfer, at: owner.clock.monotonic())
            let now = owner.clock.monotonic()
            if let address = name.recordAnswer(
                answer, from: entry.transfer.endpoint, ofLookUp: !entry.transfer.hasAddress, at: now)
            {
                log.recordLostName(address, answer.failure?.text ?? "", at: now)
                entry.transfer.connect(to: address)
                if owner.multi.add(entry.transfer) {
                    inFlight[easy] = entry
                    hold(entry.transfer.heldBytes)
                    continue
                }
            }
            let outcome = OTLPOutcome.of(answer, for: .traces)
            let code = answer.code(outcome)
            owner.control.withLock {
                $0.statistics.requests[code, default: 0] += 1
                $0.statistics.durations.observe(now.seconds(since: entry.delivery.startedAt))
            }
            finish(
                entry.delivery, outcome, code: code, retryAfterSeconds: answer.retryAfterSeconds, at: now)
        }
        return hasAnswers
    }

    private mutating func finish(
        _ delivery: Delivery, _ outcome: OTLPOutcome, code: String = "", retryAfterSeconds: UInt64 = 0,
        at now: MonotonicTime
    ) {
        let jitter = Double.random(in: 0..<1, using: &generator)
        let effects = dispatch.finish(
            delivery, outcome, retryAfterSeconds: retryAfterSeconds, at: now, jitter: jitter)
        for effect in effects { carryOut(effect, code: code, at: now) }
    }

    private mutating func carryOut(_ effect: DispatchEffect, code: String, at now: MonotonicTime) {
        switch effect {
        case .settle(.frames(let frames), let dropped, let reason):
            owner.spool.settle(frames, dropping: (dropped, reason.rawValue))
        case .settle(.spans(let range, let frame), let dropped, let reason):
            owner.spool.settle(range, of: frame, dropping: (dropped, reason.rawValue))
        case .failing(let reason, _, _):
            owner.control.withLock {
                $0.statistics.isBackendUp = false
                $0.statistics.lastFailure = reason
            }
        case .answered:
            owner.control.withLock {
                $0.statistics.isBackendUp = true
                $0.statistics.lastFailure = nil
            }
        case .refused(let address, let reason): setAside(address, reason)
        case .rejected, .suspected, .tooLarge, .paused: break
        }
        log.record(effect, code: code, at: now)
    }

    /// Keeps a copy of what was refused. The copy is written before the frame is settled: after a kill in between, the
    /// request is refused again. It costs writes into the page cache of the disk that each settlement writes to as
    /// well; nothing is synced.
    private mutating func setAside(_ address: SpoolAddress, _ reason: String) {
        guard let refusedRequests else { return }
        var outcome = RefusedCopy.kept
        do throws(RefusedRequests.NotKept) {
            try refusedRequests.keep(try refusedRequest(address), reason: reason, at: owner.clock.wall())
        } catch {
            outcome = error.outcome
            log.record(error, at: owner.clock.monotonic())
        }
        let copy = outcome
        owner.control.withLock { $0.statistics.copies[copy, default: 0] += 1 }
    }

    /// Returns what was refused, as it was sent.
    /// - Throws: `NotKept` where it can't be read.
    private func refusedRequest(_ address: SpoolAddress) throws(RefusedRequests.NotKept) -> SpoolBatch {
        var batch: SpoolBatch
        do throws(SpoolError) {
            batch = try owner.spool.read(address)
        } catch {
            throw RefusedRequests.NotKept(outcome: .failed, problem: error.description)
        }
        let delivery = Delivery(address, isFresh: false, acceptedBefore: 0)
        guard !batch.isEmpty, let body = delivery.body(batch) else {
            throw RefusedRequests.NotKept(outcome: .failed, problem: "the spool has dropped it meanwhile")
        }
        (batch.bytes, batch.spanCount) = (body, address.spanCount)
        return batch
    }

    // MARK: Sleeping

    /// Sleeps. The rule notices what has come since `newest` was read, without a second look that the moments would not
    /// know of.
    private func sleep(until moments: [MonotonicTime?], newest: SpoolUnread) {
        let now = owner.clock.monotonic()
        let deadline = (moments.compactMap { $0 } + [now.advanced(by: .seconds(1))]).min() ?? now
        let rule = dispatch.wantsFresh(at: now) ? turns.wakeRule(newest, at: now) : .never
        owner.sleep(milliseconds: deadline.milliseconds(from: now), wakingOn: rule)
    }
}
