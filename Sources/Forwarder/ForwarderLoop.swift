import Logging
import Metrics
import Model
import Platform
import Spool
import Synchronization

/// The forwarder's thread: asks `Dispatch` what to send, moves the bytes by libcurl, and does what an answer leads to.
struct ForwarderLoop: ~Copyable {
    private struct InFlight {
        let transfer: CurlTransfer
        let consignment: Consignment
    }

    private let owner: Forwarder
    private let compressor: BodyCompressor
    private var dispatch: Dispatch
    private var inFlight: [UnsafeMutableRawPointer: InFlight] = [:]
    private var log: ForwarderLog
    private let refusedRequests: RefusedRequests?
    private var generator = SystemRandomNumberGenerator()
    private var isHurrying = false
    private var turns: ReadTurns

    init(_ owner: Forwarder) {
        self.owner = owner
        compressor = BodyCompressor(owner.options.compression)
        dispatch = Dispatch(owner.options)
        log = ForwarderLog(owner.logger)
        refusedRequests = owner.options.refused.map { RefusedRequests($0) }
        turns = ReadTurns(owner.options)
    }

    mutating func run() {
        while true {
            let (isStopping, deadline) = owner.control.withLock { ($0.isStopping, $0.drainDeadline) }
            let now = owner.clock.monotonic()
            if isStopping && !isHurrying { dispatch.hurry(at: now) }
            isHurrying = isStopping
            startRequests(at: now, flushing: isStopping)
            if isStopping && (now >= deadline || hasNothingToDo(before: deadline)) { break }
            owner.multi.perform()
            finishRequests()
            if isStopping && hasNothingToDo(before: deadline) { break }
            sleep(until: isStopping ? deadline : nil, flushing: isStopping)
        }
        // Answers that have not come yet are unknown: those batches stay in the spool.
        for entry in inFlight.values { owner.multi.remove(entry.transfer) }
        owner.spool.keepAtClose(dispatch.rests(flying: inFlight.values.map(\.consignment)))
    }

    /// At the end: all is sent, or the backend is away and the next try would come too late.
    private func hasNothingToDo(before deadline: MonotonicTime) -> Bool {
        if dispatch.inFlight > 0 { return false }
        let now = owner.clock.monotonic()
        return dispatch.nextMoment(freshAt: freshAt(now, flushing: true)).map { $0 >= deadline } ?? true
    }

    /// When a batch may be read from the spool; nil while it is empty.
    private func freshAt(_ now: MonotonicTime, flushing: Bool) -> MonotonicTime? {
        let waiting = owner.spool.waiting
        return SpoolStretch.allCases.compactMap { stretch in
            turns.moment(of: stretch, waiting, at: now, flushing: flushing, isProbing: dispatch.isProbing)
        }.min()
    }

    // MARK: Sending

    private mutating func startRequests(at now: MonotonicTime, flushing: Bool) {
        let owner = owner
        beginStretch(at: now)
        while true {
            let stretch = turns.choose(owner.spool.waiting, at: now, flushing: flushing, isProbing: dispatch.isProbing)
            let (maxSpans, maxBytes) = (turns.maxSpans(of: stretch), owner.options.maxBatchBytes)
            var read: SpoolBatch?
            var readError: SpoolError?
            let consignment = dispatch.next(at: now) { isLone -> SpoolBatch? in
                guard let stretch else { return nil }
                do throws(SpoolError) {
                    // The spool gives one request at least.
                    let batch = try owner.spool.readBatch(
                        from: stretch, maxBytes: maxBytes, maxSpans: isLone ? 1 : maxSpans)
                    read = batch
                    return batch.isEmpty ? nil : batch
                } catch {
                    readError = error
                    return nil
                }
            }
            if let stretch, let read { turns.note(read: read.spanCount, from: stretch, at: now) }
            if let consignment, let young = withoutExpired(consignment, at: now) { start(young, at: now) }
            if let stretch, let readError {
                // The spool counts it; the frames stay where they are, and the disk gets a rest.
                turns.noteFailure(of: stretch, at: now)
                log.note(readError, at: now)
            } else if consignment == nil {
                return
            }
        }
    }

    /// Where old spans wait, what arrives from now on goes beside them.
    private mutating func beginStretch(at now: MonotonicTime) {
        let unread = owner.spool.unread
        let isBlocked = dispatch.isBlocked(at: now)
        guard turns.wantsStretch(unread, isBlocked: isBlocked, at: now), owner.spool.beginStretch() else { return }
        log.noteStretch(behind: unread.spans, at: now)
    }

    /// What waited to be sent again may have become older than `spool.max-age`. nil when nothing is left of it.
    private mutating func withoutExpired(_ consignment: Consignment, at now: MonotonicTime) -> Consignment? {
        // The spool has just handed it out.
        if consignment.isFresh && consignment.failures == 0 { return consignment }
        var young = consignment
        if consignment.isPart {
            let wall = owner.clock.wall()
            let isExpired = consignment.batch.frames.contains { owner.spool.isExpired($0.time, at: wall) }
            if isExpired { young.batch = SpoolBatch() }
        } else {
            young.batch = owner.spool.withoutExpired(consignment.batch)
        }
        if !young.batch.isEmpty { return young }
        for effect in dispatch.expire(consignment) { carryOut(effect, at: now) }
        return nil
    }

    private mutating func start(_ consignment: Consignment, at now: MonotonicTime) {
        let body = compressor.compress(consignment.batch.bytes)
        // A suspect gets a connection of its own: some backend behind the one that it failed on may be what is broken.
        let transfer = CurlTransfer(
            owner.options, body: body, contentEncoding: compressor.contentEncoding,
            onConnectionOfItsOwn: consignment.isSuspect)
        guard let transfer, owner.multi.add(transfer)
        else {
            finish(consignment, .retry(afterSeconds: 0, reason: "libcurl has no memory for a request"), at: now)
            return
        }
        inFlight[transfer.handle] = InFlight(transfer: transfer, consignment: consignment)
    }

    // MARK: Answers

    private mutating func finishRequests() {
        while let (easy, result) = owner.multi.nextDone() {
            guard let entry = inFlight.removeValue(forKey: easy) else { continue }
            owner.multi.remove(entry.transfer)
            let answer = entry.transfer.answer(result)
            let now = owner.clock.monotonic()
            owner.control.withLock {
                $0.statistics.requests[answer.label, default: 0] += 1
                $0.statistics.durations.observe(now.seconds(since: entry.consignment.startedAt))
            }
            finish(entry.consignment, ForwardOutcome.of(answer), at: now)
        }
    }

    private mutating func finish(_ consignment: Consignment, _ outcome: ForwardOutcome, at now: MonotonicTime) {
        let jitter = Double.random(in: 0..<1, using: &generator)
        for effect in dispatch.finish(consignment, outcome, at: now, jitter: jitter) { carryOut(effect, at: now) }
    }

    private mutating func carryOut(_ effect: DispatchEffect, at now: MonotonicTime) {
        switch effect {
        case .settle(let frames, let dropped, let reason):
            owner.spool.settle(frames, dropping: (dropped, reason.rawValue))
        case .settlePart(let frame, let spans, let dropped, let reason):
            owner.spool.settle(part: spans, of: frame, dropping: (dropped, reason.rawValue))
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
        case .refused(let batch, let reason): setAside(batch, reason)
        case .rejected, .suspected, .tooLarge: break
        }
        log.note(effect, at: now)
    }

    /// The copy is written before the frame is settled: after a kill in between, the request is refused again. It costs
    /// writes into the page cache of the disk that each settlement writes to as well; nothing is synced.
    private mutating func setAside(_ batch: SpoolBatch, _ reason: String) {
        guard let refusedRequests else { return }
        var outcome = RefusedCopy.kept
        do throws(RefusedRequests.NotKept) {
            try refusedRequests.keep(batch, reason: reason, at: owner.clock.wall())
        } catch {
            outcome = error.outcome
            log.note(error, at: owner.clock.monotonic())
        }
        let copy = outcome
        owner.control.withLock { $0.statistics.copies[copy, default: 0] += 1 }
    }

    // MARK: Sleeping

    private func sleep(until drainDeadline: MonotonicTime?, flushing: Bool) {
        let now = owner.clock.monotonic()
        var deadline = now.advanced(byNanoseconds: 1_000_000_000)
        if let drainDeadline { deadline = min(deadline, drainDeadline) }
        let freshAt = freshAt(now, flushing: flushing)
        if let moment = dispatch.nextMoment(freshAt: freshAt) { deadline = min(deadline, moment) }
        if dispatch.wantsFresh(at: now) && !turns.isPaused(.newest, at: now) {
            let threshold = owner.spool.unread.spans == 0 ? 1 : owner.options.maxBatchSpans
            owner.wakeThreshold.store(threshold, ordering: .releasing)
            // An append between the look and the store would find nobody to wake.
            if owner.spool.unread.spans >= threshold { deadline = now }
        }
        owner.multi.wait(milliseconds: deadline.milliseconds(from: now))
        owner.wakeThreshold.store(Int.max, ordering: .releasing)
    }
}
