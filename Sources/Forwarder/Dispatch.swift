import Model
import OTLPClient
import Platform
import Spool

/// Decides what is sent when, and what an answer leads to. It is pure: it gets times and answers, and gives back
/// actions and effects. Requests that wait are on disk; their addresses are here.
///
/// The meaning of one failure depends on the others.
/// - While nothing passes, the backend is down: the gate closes for all. One request at a time probes, each time
///   another one: first those that were in flight, then single new ones.
/// - While others pass, the failed one is a suspect: it waits by itself, is halved the second time, and delays no
///   other.
///
/// | outcome       | nothing passes            | others pass                                         |
/// |---------------|---------------------------|-----------------------------------------------------|
/// | `retry`       | gate closes               | gate closes; the second time it waits by itself, too |
/// | `retrySlowly` | gate closes, longest pause | suspect; alone, again and again: refused            |
/// | `doubtful`    | gate closes; later halved | suspect; alone, again and again: refused, or kept if never answered |
/// | `tooLarge`    | halved, by frames, then by spans; what can't be halved: refused | the same      |
/// | `refused`     | halved until the culprit is alone; that is dropped | the same                   |
struct Dispatch {
    /// The number of waiting requests from which new ones are sent one by one only: whether they pass tells which side is
    /// at fault.
    static let maxWaiting = 16
    /// The number of waiting requests from which only `maxWaiting` more new ones are sent: while nothing passes, and
    /// while some do.
    static let maxProbes = 64
    static let maxHeld = 1024
    /// The largest request whose broken connection is blamed on an outage, if nothing else passes; a larger one may
    /// break it by its size. Batches are no larger, unless `tempo.batch.max-bytes` or a single request is.
    static let maxUnansweredBytes = 1 << 20

    private let maxInFlight: Int
    /// The bytes above which nothing is begun beside what is in flight.
    private let maxHeldBytes: Int
    /// The bytes of the bodies in flight.
    var heldBytes = 0
    private let lonePause: Duration
    private var backoff: Backoff
    private var waiting: [Delivery] = []
    var waitingCount: Int { waiting.count }
    private(set) var inFlight = 0
    private var suspectsInFlight = 0
    /// The time at which the next one may be sent although too many wait.
    private var nextLone = MonotonicTime(nanoseconds: 0)
    /// The time before which nothing is sent.
    private(set) var gate = MonotonicTime(nanoseconds: 0)
    /// The part of it that the backend asked for.
    private var askedGate = MonotonicTime(nanoseconds: 0)
    /// The time at which the gate was last closed: requests that were in flight then tell of the same failure.
    private var ending = Ending.notBegun
    private var gateClosedAt = MonotonicTime(nanoseconds: 0)
    private var acceptedRequests: UInt64 = 0
    private var firstTries = FirstTries()
    /// The number of new requests that were sent since the last one that passed, though too many waited. If all that
    /// waits is bad, only something new can show that the backend works.
    private var lookedBeyond = 0

    init(_ options: ForwarderOptions) {
        maxInFlight = options.maxInFlight
        // A batch is held twice while it is made.
        maxHeldBytes = max(0, options.maxBytesInFlight - 2 * options.maxBatchBytes)
        lonePause = options.retryInitial
        backoff = Backoff(initial: options.retryInitial, max: options.retryMax)
    }

    var isIdle: Bool { inFlight == 0 && waiting.isEmpty }
    /// True if the last request failed, and the fault is not its own.
    var isProbing: Bool { backoff.failures > 0 }
    private var maySend: Bool {
        inFlight == 0 || inFlight < (isProbing ? 1 : maxInFlight) && heldBytes <= maxHeldBytes
    }
    /// True if a suspect may be sent. Suspects may have half of the requests: those that wait for answers that never
    /// come must not take all.
    private var maySendSuspect: Bool { suspectsInFlight < max(1, maxInFlight / 2) }

    private enum FreshRequests {
        /// Whole batches may be read.
        case batches
        /// One request at a time may be read, not before the given time.
        case lone(MonotonicTime)
        case none
    }

    /// The amount of unsent data that may be read. In an outage these are whole batches, until as much waits as was in
    /// flight when it began. Then it is one request at a time: if one of them passes, the waiting requests are to
    /// blame.
    private var takesFresh: FreshRequests {
        let few = isProbing ? max(2, maxInFlight) : Self.maxWaiting
        if waiting.count < few { return .batches }
        if isFull && lookedBeyond >= Self.maxWaiting || waiting.count >= Self.maxHeld + Self.maxWaiting { return .none }
        return .lone(isProbing ? gate : nextLone)
    }

    private var isFull: Bool { waiting.count >= (isProbing ? Self.maxProbes : Self.maxHeld) }

    // MARK: Sending

    /// Returns the next action. `freshAt` is the time at which the spool has something that was never sent; nil while
    /// it has nothing.
    mutating func next(at now: MonotonicTime, freshAt: MonotonicTime?) -> DispatchAction {
        let moment = nextMoment(freshAt: freshAt)
        guard let moment, moment <= now else { return .wait(until: moment) }
        let best = bestReady(at: now)
        let prefersFresh = best.map { isProbing && waiting[$0].failures > 0 } ?? true
        if prefersFresh, let freshAt, freshAt <= now, wantsFresh(at: now) {
            if case .lone = takesFresh { return .read(isLone: true) }
            return .read(isLone: false)
        }
        guard let best else { preconditionFailure("a moment came at which nothing can be sent") }
        return .send(launch(waiting.remove(at: best), at: now))
    }

    /// Returns the waiting delivery that goes first. That is the oldest, but in an outage the one that was tried least.
    /// A delivery that takes the backend down must not be all that it ever gets. Of one request the smallest part goes
    /// first, so that no more of them wait than it was halved times.
    private func bestReady(at now: MonotonicTime) -> Int? {
        let ready = waiting.indices.filter { waiting[$0].notBefore <= now && mayGo(waiting[$0]) }
        return ready.min {
            let (left, right) = (waiting[$0], waiting[$1])
            if isProbing && left.failures != right.failures { return left.failures < right.failures }
            if left.firstSequence != right.firstSequence { return left.firstSequence < right.firstSequence }
            return left.spanCount < right.spanCount
        }
    }

    /// Takes over what was read for the first time. Returns the part to send at once. Returns nil for a request that
    /// was sent in part before the start: its rest waits then, and is next.
    mutating func begin(_ frames: [SpoolFrame], unsentSpans: [Range<Int>]? = nil, at now: MonotonicTime) -> Delivery? {
        if case .lone = takesFresh {
            if isFull { lookedBeyond += 1 }
            nextLone = now.advanced(by: lonePause)
        }
        guard let unsentSpans else {
            return launch(Delivery(.frames(frames), isFresh: true, acceptedBefore: acceptedRequests), at: now)
        }
        waiting += unsentSpans.map {
            Delivery(.spans($0, of: frames[0]), isFresh: false, acceptedBefore: acceptedRequests)
        }
        return nil
    }

    private mutating func launch(_ delivery: Delivery, at now: MonotonicTime) -> Delivery {
        var launched = delivery
        launched.startedAt = now
        inFlight += 1
        if launched.isSuspect { suspectsInFlight += 1 }
        return launched
    }

    private mutating func recordReturn(_ delivery: Delivery) {
        inFlight -= 1
        if delivery.isSuspect { suspectsInFlight -= 1 }
    }

    /// Removes a delivery that was to be sent and need not be any more.
    mutating func forget(_ delivery: Delivery) {
        recordReturn(delivery)
    }

    /// Puts a delivery that could not be read among those that wait. That says nothing of the backend.
    mutating func postpone(_ delivery: Delivery, until moment: MonotonicTime) {
        recordReturn(delivery)
        var postponed = delivery
        postponed.notBefore = moment
        waiting.append(postponed)
    }

    private func mayGo(_ delivery: Delivery) -> Bool {
        !delivery.isSuspect || maySendSuspect
    }

    /// Returns the time at which `next` has something to do; nil while it waits for an answer only.
    private func nextMoment(freshAt: MonotonicTime?) -> MonotonicTime? {
        guard maySend else { return nil }
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

    /// Returns true if what was never sent may be read now.
    func wantsFresh(at now: MonotonicTime) -> Bool {
        guard maySend && now >= gate else { return false }
        switch takesFresh {
        case .batches: return true
        case .lone(let moment): return moment <= now
        case .none: return false
        }
    }

    /// The state of the program's end.
    private enum Ending {
        case notBegun
        /// The backend took requests when the end began.
        case draining
        /// The backend took none; one try is left.
        case lastTry
        case over
    }

    /// Returns true if the backend takes nothing now, as far as is known.
    func isBlocked(at now: MonotonicTime) -> Bool {
        isProbing || now < gate
    }

    /// Allows one more try now, because the end is near, unless the backend asked for a longer pause.
    mutating func hurry(at now: MonotonicTime) {
        ending = isBlocked(at: now) ? .lastTry : .draining
        gate = max(now, askedGate)
    }

    /// True if the backend was unavailable when the end began, and was so again at the last try.
    var isOver: Bool { ending == .over }

    // MARK: Answers

    /// Returns the effects of an answer to a delivery.
    ///
    /// - Parameter retryAfterSeconds: The pause that the backend asks for, with whatever outcome.
    mutating func finish(
        _ delivery: Delivery, _ outcome: OTLPOutcome, retryAfterSeconds: UInt64 = 0, at now: MonotonicTime,
        jitter: Double
    ) -> [DispatchEffect] {
        recordReturn(delivery)
        switch outcome {
        case .accepted(let rejected, let message):
            acceptedRequests += 1
            lookedBeyond = 0
            if delivery.isFresh && delivery.failures == 0 { firstTries.accepted += 1 }
            backoff.succeed()
            let settled = [settle(delivery, dropped: rejected, .rejected)]
            let says = rejected > 0 || !message.isEmpty
            return [.answered] + (says ? [.rejected(spans: rejected, message: message)] : []) + settled
        case .retry(let after, let reason):
            // Otherwise a request that never passes would be the first to be sent again, and close the gate, each time.
            let count = delivery.failures + 1
            let waitsAlone = count > 1 && othersPassed(delivery)
            let pause = waitsAlone ? backoff.pause(afterFailures: count, jitter: jitter) : .zero
            putBack(delivery, until: now.advanced(by: pause))
            return closeGate(delivery, reason, advice: nil, after: after, at: now, jitter: jitter)
        case .retrySlowly(let reason, let advice):
            if othersPassed(delivery) {
                return suspect(delivery, outcome, after: retryAfterSeconds, at: now, jitter: jitter)
            }
            putBack(delivery)
            return closeGate(delivery, reason, advice: advice, after: retryAfterSeconds, at: now, jitter: jitter)
        case .doubtful(let after, let reason, _):
            if othersPassed(delivery) { return suspect(delivery, outcome, after: after, at: now, jitter: jitter) }
            recordFault(delivery)
            if !divideInOutage(delivery) { putBack(delivery) }
            return closeGate(delivery, reason, advice: nil, after: after, at: now, jitter: jitter)
        case .tooLarge(let reason):
            backoff.succeed()
            let answered = [.answered] + pause(seconds: retryAfterSeconds, reason, at: now)
            guard divide(delivery, bySpans: true) else { return answered + drop(delivery, reason: reason) }
            return answered + [.tooLarge(spans: delivery.spanCount, bytes: delivery.bytes, reason: reason)]
        case .refused(let reason):
            backoff.succeed()
            let answered = [.answered] + pause(seconds: retryAfterSeconds, reason, at: now)
            return answered + (divide(delivery, bySpans: false) ? [] : drop(delivery, reason: reason))
        }
    }

    /// Divides a request while nothing passes. If everything that waits has something bad in it, the innocent part
    /// shows that the backend works. A large request may fail for its size.
    private mutating func divideInOutage(_ delivery: Delivery) -> Bool {
        if waiting.count >= Self.maxProbes { return false }
        let isLarge = delivery.bytes > Self.maxUnansweredBytes
        if isLarge && delivery.failures > 0 { return divide(delivery, bySpans: true) }
        return delivery.failures > 1 && divide(delivery, bySpans: false)
    }

    private mutating func putBack(
        _ delivery: Delivery, until moment: MonotonicTime = MonotonicTime(nanoseconds: 0)
    ) {
        var failed = delivery
        failed.notBefore = moment
        failed.failures += 1
        failed.acceptedBefore = acceptedRequests
        waiting.append(failed)
    }

    private func othersPassed(_ delivery: Delivery) -> Bool {
        delivery.acceptedBefore < acceptedRequests
    }

    private mutating func recordFault(_ delivery: Delivery) {
        if delivery.isFresh && delivery.failures == 0 { firstTries.faulted += 1 }
    }

    /// Heeds the pause that a backend asks for which takes requests, but not this one.
    private mutating func pause(seconds: UInt64, _ reason: String, at now: MonotonicTime) -> [DispatchEffect] {
        if seconds == 0 { return [] }
        let pause = Backoff.askedPause(seconds)
        askedGate = max(askedGate, now.advanced(by: pause))
        gate = max(gate, askedGate)
        return [.paused(reason: reason, pause: pause)]
    }

    private mutating func closeGate(
        _ delivery: Delivery, _ reason: String, advice: String?, after seconds: UInt64, at now: MonotonicTime,
        jitter: Double
    ) -> [DispatchEffect] {
        // A backend that asks for a pause in one of its answers gets it.
        if seconds > 0 { askedGate = max(askedGate, now.advanced(by: Backoff.askedPause(seconds))) }
        // Requests that were in flight together fail together: that is one failure.
        if isProbing && delivery.startedAt < gateClosedAt {
            gate = max(gate, askedGate)
            return []
        }
        if ending == .lastTry { ending = .over }
        // What is misconfigured is tried at the slowest pace, also where the backend asks for a shorter pause.
        let isSlow = advice != nil
        let pause = backoff.fail(retryAfterSeconds: isSlow ? 0 : seconds, slowly: isSlow, jitter: jitter)
        gateClosedAt = now
        gate = max(askedGate, now.advanced(by: pause))
        return [.failing(reason: reason, advice: advice, pause: gate.duration(since: now))]
    }

    // MARK: Suspects

    private mutating func suspect(
        _ delivery: Delivery, _ outcome: OTLPOutcome, after seconds: UInt64, at now: MonotonicTime,
        jitter: Double
    ) -> [DispatchEffect] {
        var suspect = delivery
        let since = suspect.firstTriesBefore ?? firstTries
        recordFault(suspect)
        suspect.firstTriesBefore = since
        suspect.failures += 1
        suspect.suspicions += 1
        suspect.acceptedBefore = acceptedRequests
        let reason: String
        let isAnswer: Bool
        switch outcome {
        case .retrySlowly(let text, _): (reason, isAnswer) = (text, true)
        case .doubtful(_, let text, let isOne): (reason, isAnswer) = (text, isOne)
        case .accepted, .retry, .tooLarge, .refused: preconditionFailure("no suspicion follows from \(outcome)")
        }
        // To halve costs nothing, and frees the innocent. A request that breaks the connection may be too large for a
        // proxy.
        let effects = [DispatchEffect.suspected(spans: suspect.spanCount, reason: reason)]
        if suspect.suspicions >= 2 && waiting.count < Self.maxHeld && divide(suspect, bySpans: !isAnswer) {
            return effects
        }
        // A request without an answer is kept as long as there is space, and then dropped before it delays others.
        let isSpaceShort = waiting.count + 1 >= Self.maxWaiting
        if (isAnswer || isSpaceShort) && firstTries.condemns(suspicions: suspect.suspicions, since: since) {
            let text = "\(reason) (\(suspect.suspicions) times, while other requests passed)"
            return drop(suspect, reason: text, as: isAnswer ? .refused : .unanswered)
        }
        let pause = max(
            backoff.pause(afterFailures: suspect.suspicions, jitter: jitter), Backoff.askedPause(seconds))
        suspect.notBefore = now.advanced(by: pause)
        waiting.append(suspect)
        return effects
    }

    // MARK: Dividing and settling

    /// Puts two halves in the place of a delivery. Returns false where it can't be divided further.
    private mutating func divide(_ delivery: Delivery, bySpans: Bool) -> Bool {
        var whole = delivery
        whole.acceptedBefore = acceptedRequests
        guard let halves = whole.halves(bySpans: bySpans) else { return false }
        waiting += halves
        return true
    }

    private func drop(_ delivery: Delivery, reason: String, as drop: ForwardDrop = .refused) -> [DispatchEffect] {
        [.refused(delivery.address, reason: reason), settle(delivery, dropped: delivery.spanCount, drop)]
    }

    private func settle(_ delivery: Delivery, dropped: Int, _ reason: ForwardDrop) -> DispatchEffect {
        .settle(delivery.address, dropped: min(max(0, dropped), delivery.spanCount), reason: reason)
    }
}
