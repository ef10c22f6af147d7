import Model
import Spool

/// What the forwarder's thread has to do after an answer.
enum DispatchEffect {
    /// These frames need not be kept: delivered, all but `dropped` of their spans.
    case settle([SpoolBatch.Frame], dropped: Int, reason: ForwardDrop)
    /// The backend will never take this request (or part of one); it is dropped by the `settle` that goes with it.
    case refused(SpoolBatch, reason: String)
    /// The backend took a request but for some spans.
    case rejected(spans: Int, message: String)
    /// The backend found this much too large; it is sent again in smaller portions.
    case tooLarge(spans: Int, bytes: Int, reason: String)
    /// Nothing is sent for a while.
    case failing(reason: String, advice: String?, pauseNanoseconds: UInt64)
    /// The backend answers: whatever it said, the way to it is open.
    case answered
}

/// Decides what is sent when, and what an answer leads to. Pure: gets times and answers, gives back effects.
///
/// What one failure means depends on the others. While nothing passes, the backend is down: the gate closes for all, one
/// request at a time probes, each time another one. While others pass, the failed one is a suspect: it waits by itself,
/// is halved the second time, and stops nobody.
///
/// | outcome       | nothing passes            | others pass                                         |
/// |---------------|---------------------------|-----------------------------------------------------|
/// | `retry`       | gate closes               | gate closes                                         |
/// | `retrySlowly` | gate closes, longest pause | suspect; alone, again and again: refused            |
/// | `doubtful`    | gate closes               | suspect; alone, again and again, if answered: refused |
/// | `tooLarge`    | halved, by frames, then by spans; a single span: refused | the same             |
/// | `refused`     | halved until the culprit is alone; that is dropped | the same                   |
struct Dispatch {
    /// What waits is held in memory, and makes a hole in the settled sequences, of which the checkpoint knows 24.
    static let maxWaiting = 16

    private let maxInFlight: Int
    private var backoff: Backoff
    private var waiting: [Consignment] = []
    var waitingCount: Int { waiting.count }
    private(set) var inFlight = 0
    /// Nothing is sent before this.
    private(set) var gate = MonotonicTime(nanoseconds: 0)
    /// When the gate was last closed: requests that were on their way then tell of the same failure.
    private var gateClosedAt = MonotonicTime(nanoseconds: 0)
    private var acceptedBatches: UInt64 = 0
    private var firstTries = FirstTries()
    /// Requests of which parts are on their way, by sequence.
    private var divided: [UInt64: DividedFrame] = [:]

    private struct DividedFrame {
        var openParts: Int
        var rejectedSpans = 0
        var refusedSpans = 0
    }

    init(_ options: ForwarderOptions) {
        maxInFlight = options.maxInFlight
        backoff = Backoff(
            initialNanoseconds: options.retryInitialNanoseconds, maxNanoseconds: options.retryMaxNanoseconds)
    }

    var isIdle: Bool { inFlight == 0 && waiting.isEmpty }
    private var isProbing: Bool { backoff.failures > 0 }
    private var hasRoom: Bool { inFlight < (isProbing ? 1 : maxInFlight) }
    /// Whether a batch that nobody has sent yet may be taken: in an outage no more than what was on its way when it
    /// began, but two at least, to probe with different ones.
    private var takesFresh: Bool { waiting.count < (isProbing ? max(2, maxInFlight) : Self.maxWaiting) }

    // MARK: Sending

    /// What to send now, if anything. `fresh` reads the next batch from the spool, nil if there is none yet.
    mutating func next(at now: MonotonicTime, fresh: () -> SpoolBatch?) -> Consignment? {
        guard hasRoom && now >= gate else { return nil }
        let ready = waiting.indices.filter { waiting[$0].notBefore <= now }
        // The oldest first; but in an outage the one that was tried least: what takes the backend down must not be all
        // that it ever gets to see.
        let best = ready.min {
            let (left, right) = (waiting[$0], waiting[$1])
            if isProbing && left.failures != right.failures { return left.failures < right.failures }
            return left.firstSequence < right.firstSequence
        }
        var chosen: Consignment?
        let prefersFresh = isProbing && best.map { waiting[$0].failures > 0 } ?? true
        if (best == nil || prefersFresh) && takesFresh, let batch = fresh() {
            chosen = Consignment(batch, isFresh: true, acceptedBefore: acceptedBatches)
        } else if let best {
            chosen = waiting.remove(at: best)
        }
        chosen?.startedAt = now
        if chosen != nil { inFlight += 1 }
        return chosen
    }

    /// When `next` may have something that it has not now; nil while it waits for an answer only. `freshAt`: when the
    /// spool has a batch.
    func nextMoment(freshAt: MonotonicTime?) -> MonotonicTime? {
        guard hasRoom else { return nil }
        var moments = waiting.map(\.notBefore)
        if takesFresh, let freshAt { moments.append(freshAt) }
        return moments.min().map { max($0, gate) }
    }

    /// Whether an append should wake the thread.
    func wantsFresh(at now: MonotonicTime) -> Bool {
        hasRoom && takesFresh && now >= gate
    }

    /// After a failure that is no request's, such as a disk that can't be read.
    mutating func pause(until moment: MonotonicTime) {
        gate = max(gate, moment)
    }

    // MARK: Answers

    mutating func finish(
        _ consignment: Consignment, _ outcome: ForwardOutcome, at now: MonotonicTime, jitter: Double
    ) -> [DispatchEffect] {
        inFlight -= 1
        switch outcome {
        case .accepted(let rejected, let message):
            acceptedBatches += 1
            if consignment.isFresh && consignment.failures == 0 { firstTries.accepted += 1 }
            backoff.succeed()
            let settled = settle(consignment, dropped: rejected, .rejected)
            return [.answered] + (rejected > 0 ? [.rejected(spans: rejected, message: message)] : []) + settled
        case .retry(let after, let reason):
            return closeGate(consignment, reason, advice: nil, after: after, at: now, jitter: jitter)
        case .retrySlowly(let reason, let advice):
            if othersPassed(consignment) { return suspect(consignment, outcome, after: 0, at: now, jitter: jitter) }
            return closeGate(consignment, reason, advice: advice, after: 0, at: now, jitter: jitter)
        case .doubtful(let after, let reason, _):
            if othersPassed(consignment) { return suspect(consignment, outcome, after: after, at: now, jitter: jitter) }
            noteFault(consignment)
            return closeGate(consignment, reason, advice: nil, after: after, at: now, jitter: jitter)
        case .tooLarge(let reason):
            backoff.succeed()
            guard divide(consignment, bySpans: true) else { return [.answered] + drop(consignment, reason) }
            let (spans, bytes) = (consignment.batch.spanCount, consignment.batch.bytes.count)
            return [.answered, .tooLarge(spans: spans, bytes: bytes, reason: reason)]
        case .refused(let reason):
            backoff.succeed()
            return [.answered] + (divide(consignment, bySpans: false) ? [] : drop(consignment, reason))
        }
    }

    private func othersPassed(_ consignment: Consignment) -> Bool {
        consignment.acceptedBefore < acceptedBatches
    }

    private mutating func noteFault(_ consignment: Consignment) {
        if consignment.isFresh && consignment.failures == 0 { firstTries.faulted += 1 }
    }

    private mutating func closeGate(
        _ consignment: Consignment, _ reason: String, advice: String?, after seconds: UInt64, at now: MonotonicTime,
        jitter: Double
    ) -> [DispatchEffect] {
        var failed = consignment
        failed.failures += 1
        failed.acceptedBefore = acceptedBatches
        waiting.append(failed)
        // Requests that were on their way together fail together: that is one failure. But if the backend asks for a
        // longer pause in one of its answers, it gets it.
        if isProbing && failed.startedAt < gateClosedAt {
            gate = max(gate, now.advanced(byNanoseconds: Backoff.askedNanoseconds(seconds)))
            return []
        }
        let pause = backoff.fail(retryAfterSeconds: seconds, slowly: advice != nil, jitter: jitter)
        gateClosedAt = now
        gate = now.advanced(byNanoseconds: pause)
        return [.failing(reason: reason, advice: advice, pauseNanoseconds: pause)]
    }

    // MARK: Suspects

    private mutating func suspect(
        _ consignment: Consignment, _ outcome: ForwardOutcome, after seconds: UInt64, at now: MonotonicTime, jitter: Double
    ) -> [DispatchEffect] {
        var suspect = consignment
        let since = suspect.firstTriesBefore ?? firstTries
        noteFault(suspect)
        suspect.firstTriesBefore = since
        suspect.failures += 1
        suspect.suspicions += 1
        suspect.acceptedBefore = acceptedBatches
        let reason: String
        let isAnswer: Bool
        let mayRefuse: Bool
        switch outcome {
        case .retrySlowly(let text, _): (reason, isAnswer, mayRefuse) = (text, true, true)
        case .doubtful(_, let text, let may): (reason, isAnswer, mayRefuse) = (text, may, may)
        case .accepted, .retry, .tooLarge, .refused: preconditionFailure("no suspicion follows from \(outcome)")
        }
        // To halve costs nothing, and lets the innocent go. What breaks the connection may be too large for somebody.
        if suspect.suspicions >= 2 && divide(suspect, bySpans: !isAnswer) { return [] }
        if mayRefuse && firstTries.condemns(suspicions: suspect.suspicions, since: since) {
            return drop(suspect, "\(reason) (\(suspect.suspicions) times, while other requests passed)")
        }
        let pause = max(
            backoff.pause(afterFailures: suspect.suspicions, jitter: jitter), Backoff.askedNanoseconds(seconds))
        suspect.notBefore = now.advanced(byNanoseconds: pause)
        waiting.append(suspect)
        return []
    }

    // MARK: Dividing and settling

    /// Puts two halves in the place of a consignment; false where nothing is left to divide.
    private mutating func divide(_ consignment: Consignment, bySpans: Bool) -> Bool {
        var isPart = consignment.isPart
        var halves = isPart ? nil : consignment.batch.halves
        if halves == nil && bySpans, let parts = consignment.batch.spanHalves, let frame = consignment.batch.frames.first {
            divided[frame.sequence, default: DividedFrame(openParts: 1)].openParts += parts.count - 1
            isPart = true
            halves = parts
        }
        guard let halves else { return false }
        waiting += halves.map { Consignment($0, isPart: isPart, isFresh: false, acceptedBefore: acceptedBatches) }
        return true
    }

    private mutating func drop(_ consignment: Consignment, _ reason: String) -> [DispatchEffect] {
        let batch = consignment.batch
        return [.refused(batch, reason: reason)] + settle(consignment, dropped: batch.spanCount, .refused)
    }

    /// A part settles nothing unless it is the last of its request.
    private mutating func settle(_ consignment: Consignment, dropped: Int, _ reason: ForwardDrop) -> [DispatchEffect] {
        let frames = consignment.batch.frames
        guard consignment.isPart, let frame = frames.first, var whole = divided[frame.sequence] else {
            return [.settle(frames, dropped: dropped, reason: reason)]
        }
        switch reason {
        case .rejected: whole.rejectedSpans += min(max(0, dropped), consignment.batch.spanCount)
        case .refused: whole.refusedSpans += dropped
        }
        whole.openParts -= 1
        divided[frame.sequence] = whole.openParts > 0 ? whole : nil
        if whole.openParts > 0 { return [] }
        // A settlement has one reason. If both are there, the worse one is named.
        let worse: ForwardDrop = whole.refusedSpans > 0 ? .refused : .rejected
        return [.settle(frames, dropped: whole.rejectedSpans + whole.refusedSpans, reason: worse)]
    }
}
