import Model
import Spool

/// What the forwarder's thread has to do after an answer.
enum DispatchEffect {
    /// These frames need not be kept: delivered, all but `dropped` of their spans.
    case settle([SpoolBatch.Frame], dropped: Int, reason: ForwardDrop)
    /// So many spans of this frame need not be kept; others are still to be sent.
    case settlePart(SpoolBatch.Frame, spans: Int, dropped: Int, reason: ForwardDrop)
    /// This request (or part of one) is given up; it is dropped by the `settle` that goes with it.
    case refused(SpoolBatch, reason: String)
    /// The backend took a request but for some spans, perhaps none, and has something to say.
    case rejected(spans: Int, message: String)
    /// A request failed while others passed; it is sent again by itself.
    case suspected(spans: Int, reason: String)
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
/// request at a time probes, each time another one: first of those that were on their way, then single new ones. While
/// others pass, the failed one is a suspect: it waits by itself, is halved the second time, and stops nobody.
///
/// | outcome       | nothing passes            | others pass                                         |
/// |---------------|---------------------------|-----------------------------------------------------|
/// | `retry`       | gate closes               | gate closes; the second time it waits by itself, too |
/// | `retrySlowly` | gate closes, longest pause | suspect; alone, again and again: refused            |
/// | `doubtful`    | gate closes; later halved | suspect; alone, again and again: refused, or kept if never answered |
/// | `tooLarge`    | halved, by frames, then by spans; what can't be halved: refused | the same      |
/// | `refused`     | halved until the culprit is alone; that is dropped | the same                   |
struct Dispatch {
    /// What waits is held in memory, and makes a hole in the settled sequences, of which the checkpoint knows 24. With as
    /// many as this, new requests are let through one by one only: whether they pass tells whose fault it is.
    static let maxWaiting = 16
    /// With as many as this, or as many bytes as `maxWaiting` batches have, waiting or on their way, only so many new requests
    /// are let through as there are in `Beyond`: while nothing passes, and while some do.
    static let maxProbes = 64
    static let maxHeld = 1024
    /// Requests may be larger than batches.
    static let minHeldBytes = 4 << 20
    /// A request that breaks the connection may do so by its size. Up to this one it is taken for an outage's, if nothing
    /// else passes; batches are no larger, unless `tempo.batch.max-bytes` or a single request is.
    static let maxUnansweredBytes = 1 << 20
    /// Of what the parts of one request repeat, so many bytes beside those that are less than half of a part.
    static let maxRepeatedBytes = 1 << 20

    private let maxInFlight: Int
    private let maxHeldBytes: Int
    private let lonePauseNanoseconds: UInt64
    private var backoff: Backoff
    private var waiting: [Consignment] = []
    var waitingCount: Int { waiting.count }
    var waitingBytes: Int { waiting.reduce(0) { $0 + $1.batch.bytes.count } }
    private(set) var inFlight = 0
    private var inFlightBytes = 0
    private var suspectsInFlight = 0
    /// When the next one may be let through although too many wait.
    private var nextLone = MonotonicTime(nanoseconds: 0)
    /// Nothing is sent before this.
    private(set) var gate = MonotonicTime(nanoseconds: 0)
    /// The part of it that the backend asked for.
    private var askedGate = MonotonicTime(nanoseconds: 0)
    /// When the gate was last closed: requests that were on their way then tell of the same failure.
    private var gateClosedAt = MonotonicTime(nanoseconds: 0)
    private var acceptedBatches: UInt64 = 0
    private var firstTries = FirstTries()
    private var beyond = Beyond()
    /// Requests of which parts are on their way, by sequence.
    private var divided: [UInt64: DividedFrame] = [:]

    /// What was let through since the last one that passed, though there was no room: all that waits may be bad, and without
    /// a look at something else the backend would seem to be down for ever.
    private struct Beyond {
        var requests = 0
        var bytes = 0
    }

    private struct DividedFrame {
        var openParts = 1
        var repeatedBytes = 0
        var hasSettledParts = false
    }

    init(_ options: ForwarderOptions) {
        maxInFlight = options.maxInFlight
        maxHeldBytes = max(Self.maxWaiting * options.maxBatchBytes, Self.minHeldBytes)
        lonePauseNanoseconds = options.retryInitialNanoseconds
        backoff = Backoff(
            initialNanoseconds: options.retryInitialNanoseconds, maxNanoseconds: options.retryMaxNanoseconds)
    }

    var isIdle: Bool { inFlight == 0 && waiting.isEmpty }
    /// The last request failed, and not by itself.
    var isProbing: Bool { backoff.failures > 0 }
    private var hasRoom: Bool { inFlight < (isProbing ? 1 : maxInFlight) }
    /// Suspects may have half of the requests: those that wait for answers that never come must not take all.
    private var hasRoomForSuspects: Bool { suspectsInFlight < max(1, maxInFlight / 2) }

    private enum FreshRequests {
        /// As much as a batch may hold.
        case batches
        /// One request at a time, not before the given time.
        case lone(MonotonicTime)
        case none
    }

    /// What nobody has sent yet may be taken so far. In an outage whole batches are taken until as much waits as was on
    /// its way when it began; then single requests: it is none if they pass, and what waits is to blame.
    private var takesFresh: FreshRequests {
        let few = isProbing ? max(2, maxInFlight) : Self.maxWaiting
        if waiting.count < few && hasRoomForBytes(0) { return .batches }
        if isFull && (beyond.requests >= Self.maxWaiting || beyond.bytes >= maxHeldBytes) { return .none }
        if waiting.count >= Self.maxHeld + Self.maxWaiting || !hasRoomForBytes(-3 * maxHeldBytes) { return .none }
        return .lone(isProbing ? gate : nextLone)
    }

    private var isFull: Bool { waiting.count >= (isProbing ? Self.maxProbes : Self.maxHeld) || !hasRoomForBytes(0) }

    private func hasRoomForBytes(_ bytes: Int) -> Bool {
        waitingBytes + inFlightBytes + bytes < maxHeldBytes
    }

    // MARK: Sending

    /// What to send now, if anything. `fresh` reads the next batch from the spool, of a single request if `isLone`; nil if
    /// there is none yet.
    mutating func next(at now: MonotonicTime, fresh: (_ isLone: Bool) -> SpoolBatch?) -> Consignment? {
        guard hasRoom && now >= gate else { return nil }
        let ready = waiting.indices.filter { waiting[$0].notBefore <= now && mayGo(waiting[$0]) }
        // The oldest first; but in an outage the one that was tried least: what takes the backend down must not be all
        // that it ever gets to see. Of one request the smallest part: then no more of them wait than it was halved times.
        let best = ready.min {
            let (left, right) = (waiting[$0], waiting[$1])
            if isProbing && left.failures != right.failures { return left.failures < right.failures }
            if left.firstSequence != right.firstSequence { return left.firstSequence < right.firstSequence }
            return left.batch.spanCount < right.batch.spanCount
        }
        var chosen: Consignment?
        let prefersFresh = isProbing && best.map { waiting[$0].failures > 0 } ?? true
        if best == nil || prefersFresh, let batch = takeFresh(at: now, fresh) {
            chosen = Consignment(batch, isFresh: true, acceptedBefore: acceptedBatches)
        } else if let best {
            chosen = waiting.remove(at: best)
        }
        guard var chosen else { return nil }
        chosen.startedAt = now
        chosen.bytesAtStart = chosen.batch.bytes.count
        inFlight += 1
        inFlightBytes += chosen.bytesAtStart
        if chosen.isSuspect { suspectsInFlight += 1 }
        return chosen
    }

    private mutating func takeFresh(at now: MonotonicTime, _ fresh: (Bool) -> SpoolBatch?) -> SpoolBatch? {
        switch takesFresh {
        case .batches: return fresh(false)
        case .lone(let moment) where moment <= now:
            let wasFull = isFull
            let batch = fresh(true)
            if wasFull, let batch {
                beyond.requests += 1
                beyond.bytes += batch.bytes.count
            }
            if batch != nil { nextLone = now.advanced(byNanoseconds: lonePauseNanoseconds) }
            return batch
        case .lone, .none: return nil
        }
    }

    private func mayGo(_ consignment: Consignment) -> Bool {
        !consignment.isSuspect || hasRoomForSuspects
    }

    /// When `next` may have something that it has not now; nil while it waits for an answer only. `freshAt`: when the
    /// spool has a batch.
    func nextMoment(freshAt: MonotonicTime?) -> MonotonicTime? {
        guard hasRoom else { return nil }
        var moments = waiting.filter(mayGo).map(\.notBefore)
        if let freshAt {
            switch takesFresh {
            case .batches: moments.append(freshAt)
            case .lone(let moment): moments.append(max(moment, freshAt))
            case .none: break
            }
        }
        return moments.min().map { max($0, gate) }
    }

    /// Whether an append should wake the thread.
    func wantsFresh(at now: MonotonicTime) -> Bool {
        guard hasRoom && now >= gate else { return false }
        switch takesFresh {
        case .batches: return true
        case .lone(let moment): return moment <= now
        case .none: return false
        }
    }

    /// Whether the backend takes nothing now, as far as we know.
    func isBlocked(at now: MonotonicTime) -> Bool {
        isProbing || now < gate
    }

    /// The end is near: one try more, now, unless the backend asked for a longer pause.
    mutating func hurry(at now: MonotonicTime) {
        gate = max(now, askedGate)
    }

    // MARK: Answers

    /// What `next` gave is not sent after all: it has become too old. The spool has taken whole requests off its books;
    /// a part is settled here.
    mutating func expire(_ consignment: Consignment) -> [DispatchEffect] {
        land(consignment)
        return consignment.isPart ? settle(consignment, dropped: consignment.batch.spanCount, .expired) : []
    }

    private mutating func land(_ consignment: Consignment) {
        inFlight -= 1
        inFlightBytes -= consignment.bytesAtStart
        if consignment.isSuspect { suspectsInFlight -= 1 }
    }

    mutating func finish(
        _ consignment: Consignment, _ outcome: ForwardOutcome, at now: MonotonicTime, jitter: Double
    ) -> [DispatchEffect] {
        land(consignment)
        switch outcome {
        case .accepted(let rejected, let message):
            acceptedBatches += 1
            beyond = Beyond()
            if consignment.isFresh && consignment.failures == 0 { firstTries.accepted += 1 }
            backoff.succeed()
            let settled = settle(consignment, dropped: rejected, .rejected)
            let says = rejected > 0 || !message.isEmpty
            return [.answered] + (says ? [.rejected(spans: rejected, message: message)] : []) + settled
        case .retry(let after, let reason):
            // Else one that is never taken would be the first to be sent again, and close the gate, each time.
            let count = consignment.failures + 1
            let waitsAlone = count > 1 && othersPassed(consignment)
            let pause = waitsAlone ? backoff.pause(afterFailures: count, jitter: jitter) : 0
            putBack(consignment, until: now.advanced(byNanoseconds: pause))
            return closeGate(consignment, reason, advice: nil, after: after, at: now, jitter: jitter)
        case .retrySlowly(let reason, let advice):
            if othersPassed(consignment) { return suspect(consignment, outcome, after: 0, at: now, jitter: jitter) }
            putBack(consignment)
            return closeGate(consignment, reason, advice: advice, after: 0, at: now, jitter: jitter)
        case .doubtful(let after, let reason, _):
            if othersPassed(consignment) { return suspect(consignment, outcome, after: after, at: now, jitter: jitter) }
            noteFault(consignment)
            if !divideInOutage(consignment) { putBack(consignment) }
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

    /// Where nothing passes because everything that waits has something bad in it, the innocent part shows that the
    /// backend is well. A large one may fail for its size; and those that leave no room for others have to become smaller.
    private mutating func divideInOutage(_ consignment: Consignment) -> Bool {
        if waiting.count >= Self.maxProbes { return false }
        let isLarge = consignment.batch.bytes.count > Self.maxUnansweredBytes
        let isInTheWay = isLarge || !hasRoomForBytes(consignment.batch.bytes.count)
        if isInTheWay && consignment.failures > 0 { return divide(consignment, bySpans: true) }
        return consignment.failures > 1 && divide(consignment, bySpans: false)
    }

    private mutating func putBack(
        _ consignment: Consignment, until moment: MonotonicTime = MonotonicTime(nanoseconds: 0)
    ) {
        var failed = consignment
        failed.notBefore = moment
        failed.failures += 1
        failed.acceptedBefore = acceptedBatches
        waiting.append(failed)
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
        // If the backend asks for a pause in one of its answers, it gets it.
        if seconds > 0 { askedGate = max(askedGate, now.advanced(byNanoseconds: Backoff.askedNanoseconds(seconds))) }
        // Requests that were on their way together fail together: that is one failure.
        if isProbing && consignment.startedAt < gateClosedAt {
            gate = max(gate, askedGate)
            return []
        }
        let pause = backoff.fail(retryAfterSeconds: seconds, slowly: advice != nil, jitter: jitter)
        gateClosedAt = now
        gate = max(askedGate, now.advanced(byNanoseconds: pause))
        return [.failing(reason: reason, advice: advice, pauseNanoseconds: pause)]
    }

    // MARK: Suspects

    private mutating func suspect(
        _ consignment: Consignment, _ outcome: ForwardOutcome, after seconds: UInt64, at now: MonotonicTime,
        jitter: Double
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
        switch outcome {
        case .retrySlowly(let text, _): (reason, isAnswer) = (text, true)
        case .doubtful(_, let text, let isOne): (reason, isAnswer) = (text, isOne)
        case .accepted, .retry, .tooLarge, .refused: preconditionFailure("no suspicion follows from \(outcome)")
        }
        // To halve costs nothing, and lets the innocent go. What breaks the connection may be too large for somebody.
        let effects = [DispatchEffect.suspected(spans: suspect.batch.spanCount, reason: reason)]
        if suspect.suspicions >= 2 && waiting.count < Self.maxHeld && divide(suspect, bySpans: !isAnswer) {
            return effects
        }
        // One that gets no answer is kept as long as there is room, and then given up before it keeps others waiting.
        let isRoomShort = waiting.count + 1 >= Self.maxWaiting || !hasRoomForBytes(suspect.batch.bytes.count)
        if (isAnswer || isRoomShort) && firstTries.condemns(suspicions: suspect.suspicions, since: since) {
            let text = "\(reason) (\(suspect.suspicions) times, while other requests passed)"
            return drop(suspect, text, isAnswer ? .refused : .unanswered)
        }
        let pause = max(
            backoff.pause(afterFailures: suspect.suspicions, jitter: jitter), Backoff.askedNanoseconds(seconds))
        suspect.notBefore = now.advanced(byNanoseconds: pause)
        waiting.append(suspect)
        return effects
    }

    // MARK: Dividing and settling

    /// Puts two halves in the place of a consignment; false where nothing is left to divide.
    private mutating func divide(_ consignment: Consignment, bySpans: Bool) -> Bool {
        var isPart = consignment.isPart
        var halves = isPart ? nil : consignment.batch.halves
        if halves == nil && bySpans, let parts = spanHalves(of: consignment.batch) {
            isPart = true
            halves = parts
        }
        guard let halves else { return false }
        waiting += halves.map { Consignment($0, isPart: isPart, isFresh: false, acceptedBefore: acceptedBatches) }
        return true
    }

    /// nil where there is one span only, or where halves are hardly smaller than the whole, because most of it is what they
    /// repeat: the resource. So the parts of a request, however small, have no more than three times its bytes, and 1 MiB.
    private mutating func spanHalves(of batch: SpoolBatch) -> [SpoolBatch]? {
        guard let frame = batch.frames.first, let halves = batch.spanHalves else { return nil }
        var whole = divided[frame.sequence] ?? DividedFrame()
        let repeated = halves.reduce(-batch.bytes.count) { $0 + $1.bytes.count }
        if repeated > batch.bytes.count / 2 {
            whole.repeatedBytes += repeated
            if whole.repeatedBytes > Self.maxRepeatedBytes { return nil }
        }
        whole.openParts += 1
        divided[frame.sequence] = whole
        return halves
    }

    private mutating func drop(
        _ consignment: Consignment, _ reason: String, _ drop: ForwardDrop = .refused
    ) -> [DispatchEffect] {
        let batch = consignment.batch
        return [.refused(batch, reason: reason)] + settle(consignment, dropped: batch.spanCount, drop)
    }

    /// The frame is settled with the last of its parts.
    private mutating func settle(_ consignment: Consignment, dropped: Int, _ reason: ForwardDrop) -> [DispatchEffect] {
        let frames = consignment.batch.frames
        guard consignment.isPart, let frame = frames.first, var whole = divided[frame.sequence] else {
            return [.settle(frames, dropped: dropped, reason: reason)]
        }
        whole.openParts -= 1
        whole.hasSettledParts = true
        divided[frame.sequence] = whole.openParts > 0 ? whole : nil
        let spans = consignment.batch.spanCount
        let partDropped = min(max(0, dropped), spans)
        if whole.openParts == 0 { return [.settle(frames, dropped: partDropped, reason: reason)] }
        return [.settlePart(frame, spans: spans, dropped: partDropped, reason: reason)]
    }

    /// At the end: what is left of the requests of which some parts are settled. `flying`: what was sent, without an answer.
    func rests(flying: [Consignment]) -> [SpoolRest] {
        let open = Dictionary(grouping: (waiting + flying).filter(\.isPart), by: \.firstSequence)
        return open.compactMap { sequence, parts in
            guard let whole = divided[sequence], whole.hasSettledParts, whole.openParts == parts.count,
                let frame = parts[0].batch.frames.first
            else { return nil }
            return SpoolRest(
                of: frame, payload: parts.flatMap(\.batch.bytes), spanCount: parts.reduce(0) { $0 + $1.batch.spanCount }
            )
        }
    }
}
