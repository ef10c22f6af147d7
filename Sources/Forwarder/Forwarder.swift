package import Logging
package import Model
package import Platform
package import Spool
import CCurl
package import Metrics
import Synchronization

/// Upper bounds for the time of a request, in seconds.
private let requestSecondsBounds = HistogramBounds(ascending: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

/// The counters of the forwarder, at one moment.
package struct ForwarderStatistics: Sendable {
    package var requests: [String: UInt64] = [:]
    /// Seconds per request.
    package var durations = Histogram(requestSecondsBounds)
    /// nil before the first answer.
    package var isBackendUp: Bool?
    package var lastFailure: String?
}

/// Sends what the spool holds to the trace backend, on a thread of its own. A batch leaves the spool only when the
/// backend has taken it or refused it for good; everything else is tried again for as long as it takes.
package final class Forwarder: Sendable {
    private struct Control {
        var isStopping = false
        var drainDeadline = MonotonicTime(nanoseconds: 0)
        var statistics = ForwarderStatistics()
    }

    private let options: ForwarderOptions
    private let spool: Spool
    private let clock: Clock
    private let logger: Logger
    private let control = Mutex(Control())
    private let multi: CurlMulti
    private let thread: Mutex<OSThread?> = Mutex(nil)
    /// Unread spans from which on an append wakes the thread; `Int.max` while it is awake.
    private let wakeThreshold = Atomic<Int>(Int.max)

    package init(spool: Spool, options: ForwarderOptions, clock: Clock, logger: Logger) {
        self.spool = spool
        self.options = options
        self.clock = clock
        self.logger = logger
        multi = CurlMulti()
    }

    package func start() throws(SystemError) {
        let started = try OSThread(name: "forwarder") { [self] in
            var loop = ForwarderLoop(self)
            loop.run()
        }
        thread.withLock { $0 = started }
    }

    /// To be called after each append, with the spans that wait to be read: wakes the thread if that is what it waits
    /// for. Cheap when not.
    package func noteAppended() {
        let threshold = wakeThreshold.load(ordering: .acquiring)
        if threshold == Int.max || spool.unread.spans < threshold { return }
        if wakeThreshold.exchange(Int.max, ordering: .acquiringAndReleasing) != Int.max { multi.wake() }
    }

    /// Sends what is left until all is sent or the deadline has passed, then ends the thread. What is left then stays
    /// in the spool.
    package func stop(drainUntil deadline: MonotonicTime) {
        control.withLock {
            $0.isStopping = true
            $0.drainDeadline = deadline
        }
        multi.wake()
        thread.withLock { $0 }?.join()
    }

    package var statistics: ForwarderStatistics {
        control.withLock { $0.statistics }
    }

    // MARK: The thread

    /// One batch on its way, or waiting to be sent again.
    private struct Attempt {
        let batch: SpoolBatch
        /// Times that the backend answered 500 to it while it took others.
        var suspicions = 0
        /// The batches that the backend had taken when this one last failed.
        var acceptedBefore: UInt64?
        /// Not sent again before this: a suspect waits by itself and lets others pass.
        var notBefore = MonotonicTime(nanoseconds: 0)
    }

    private struct InFlight {
        let transfer: CurlTransfer
        let attempt: Attempt
        let startedAt: MonotonicTime
    }

    /// A 500 is mostly a passing fault of the backend or a proxy, and is tried again for ever. But some bytes cause it
    /// every time: a batch that gets it this often, while others pass, is split, and alone, refused.
    private static let maxSuspicions = 5

    private static let logPauseNanoseconds: UInt64 = 10_000_000_000
    private static let readErrorPauseNanoseconds: UInt64 = 1_000_000_000

    private struct ForwarderLoop: ~Copyable {
        private let owner: Forwarder
        private let compressor: BodyCompressor
        private var inFlight: [UnsafeMutableRawPointer: InFlight] = [:]
        private var retries: [Attempt] = []
        private var backoff: Backoff
        private var gate = MonotonicTime(nanoseconds: 0)
        /// When the gate was last closed: requests that were on their way then tell of the same failure.
        private var gateClosedAt = MonotonicTime(nanoseconds: 0)
        private var acceptedBatches: UInt64 = 0
        private var nextLog = MonotonicTime(nanoseconds: 0)
        private var generator = SystemRandomNumberGenerator()

        init(_ owner: Forwarder) {
            self.owner = owner
            compressor = BodyCompressor(owner.options.compression)
            backoff = Backoff(
                initialNanoseconds: owner.options.retryInitialNanoseconds,
                maxNanoseconds: owner.options.retryMaxNanoseconds)
        }

        mutating func run() {
            while true {
                let (isStopping, deadline) = owner.control.withLock { ($0.isStopping, $0.drainDeadline) }
                let now = owner.clock.monotonic()
                startRequests(at: now, flushing: isStopping)
                if isStopping && (now >= deadline || isIdle) { break }
                owner.multi.perform()
                finishRequests()
                if isStopping && isIdle { break }
                sleep(until: isStopping ? deadline : nil)
            }
            // Answers that have not come yet are unknown: those batches stay in the spool.
            for entry in inFlight.values { owner.multi.remove(entry.transfer) }
        }

        private var isIdle: Bool {
            inFlight.isEmpty && retries.isEmpty && owner.spool.unread.since == nil
        }

        // MARK: Sending

        private mutating func startRequests(at now: MonotonicTime, flushing: Bool) {
            // After a failure one request at a time finds out whether the backend is back.
            let limit = backoff.failures == 0 ? owner.options.maxInFlight : 1
            while inFlight.count < limit && now >= gate {
                if let index = retries.firstIndex(where: { $0.notBefore <= now }) {
                    start(retries.remove(at: index), at: now)
                } else if let batch = nextBatch(at: now, flushing: flushing) {
                    start(Attempt(batch: batch), at: now)
                } else {
                    return
                }
            }
        }

        private mutating func nextBatch(at now: MonotonicTime, flushing: Bool) -> SpoolBatch? {
            let options = owner.options
            let unread = owner.spool.unread
            guard let since = unread.since else { return nil }
            let isDue = flushing || unread.spans >= options.maxBatchSpans || unread.bytes >= options.maxBatchBytes
                || now >= since.advanced(byNanoseconds: options.maxDelayNanoseconds)
            guard isDue else { return nil }
            do {
                let batch = try owner.spool.readBatch(maxBytes: options.maxBatchBytes, maxSpans: options.maxBatchSpans)
                return batch.isEmpty ? nil : batch
            } catch {
                // The spool counts it; the frames stay where they are, and the disk gets a rest.
                gate = now.advanced(byNanoseconds: Forwarder.readErrorPauseNanoseconds)
                owner.logger.error("spool read failed", metadata: ["error": "\(error)"])
                return nil
            }
        }

        private mutating func start(_ attempt: Attempt, at now: MonotonicTime) {
            let body = compressor.compress(attempt.batch.bytes)
            guard let transfer = CurlTransfer(owner.options, body: body, contentEncoding: compressor.contentEncoding),
                owner.multi.add(transfer)
            else {
                let failure = ForwardOutcome.retry(afterSeconds: 0, reason: "libcurl has no memory for a request")
                retry(attempt, failure, startedAt: now)
                return
            }
            inFlight[transfer.handle] = InFlight(transfer: transfer, attempt: attempt, startedAt: now)
        }

        // MARK: Answers

        private mutating func finishRequests() {
            while let (easy, result) = owner.multi.nextDone() {
                guard let entry = inFlight.removeValue(forKey: easy) else { continue }
                owner.multi.remove(entry.transfer)
                let answer = entry.transfer.answer(result)
                let seconds = owner.clock.monotonic().seconds(since: entry.startedAt)
                owner.control.withLock {
                    $0.statistics.requests[answer.label, default: 0] += 1
                    $0.statistics.durations.observe(seconds)
                }
                handle(entry.attempt, answer, startedAt: entry.startedAt)
            }
        }

        private mutating func handle(_ attempt: Attempt, _ answer: ForwardAnswer, startedAt: MonotonicTime) {
            let outcome = ForwardOutcome.of(answer)
            switch outcome {
            case .accepted(let rejected, let message):
                acceptedBatches += 1
                accept(attempt.batch, rejected: rejected, message: message)
            case .retry, .retrySlowly:
                if answer.status == 500, let suspect = suspected(attempt) {
                    park(suspect)
                } else {
                    retry(attempt, outcome, startedAt: startedAt)
                }
            case .refused(let reason):
                noteAnswered()
                refuse(attempt.batch, reason: reason)
            }
        }

        /// The attempt, if it was answered with 500 again and the backend took another batch in between.
        private func suspected(_ attempt: Attempt) -> Attempt? {
            guard let before = attempt.acceptedBefore, before < acceptedBatches else { return nil }
            var suspect = attempt
            suspect.suspicions += 1
            suspect.acceptedBefore = acceptedBatches
            return suspect
        }

        /// A suspect waits by itself, longer each time, and at last is taken as refused.
        private mutating func park(_ attempt: Attempt) {
            noteAnswered()
            if attempt.suspicions >= Forwarder.maxSuspicions {
                refuse(attempt.batch, reason: "500, again and again, while other requests pass")
                return
            }
            var parked = attempt
            let pause = owner.options.retryInitialNanoseconds << UInt64(attempt.suspicions - 1)
            parked.notBefore = owner.clock.monotonic().advanced(
                byNanoseconds: min(pause, owner.options.retryMaxNanoseconds))
            enqueue(parked)
        }

        /// The oldest batch goes first, whatever order the answers came in.
        private mutating func enqueue(_ attempt: Attempt) {
            retries.append(attempt)
            retries.sort { ($0.batch.frames.first?.sequence ?? 0) < ($1.batch.frames.first?.sequence ?? 0) }
        }

        private mutating func accept(_ batch: SpoolBatch, rejected: Int, message: String) {
            noteAnswered()
            owner.spool.settle(batch.frames, dropping: (rejected, ForwardDrop.rejected.rawValue))
            if rejected > 0 && mayLog() {
                owner.logger.warning(
                    "backend rejected spans", metadata: ["spans": "\(rejected)", "reason": "\(message)"])
            }
        }

        /// The backend answers: whatever it said, the way to it is open.
        private mutating func noteAnswered() {
            let wasDown = backoff.failures > 0
            backoff.succeed()
            owner.control.withLock {
                $0.statistics.isBackendUp = true
                $0.statistics.lastFailure = nil
            }
            if wasDown { owner.logger.notice("forwarding again") }
        }

        private mutating func retry(_ attempt: Attempt, _ outcome: ForwardOutcome, startedAt: MonotonicTime) {
            var seconds: UInt64 = 0
            var why = ""
            var slowly = false
            switch outcome {
            case .retry(let after, let reason): (seconds, why) = (after, reason)
            case .retrySlowly(let reason): (why, slowly) = (reason, true)
            case .accepted, .refused: return
            }
            var attempt = attempt
            attempt.acceptedBefore = acceptedBatches
            enqueue(attempt)
            // Requests that were on their way together fail together: that is one failure. But if the backend asks for
            // a longer pause in one of its answers, it gets it.
            if backoff.failures > 0 && startedAt < gateClosedAt {
                let now = owner.clock.monotonic()
                gate = max(gate, now.advanced(byNanoseconds: Backoff.askedNanoseconds(seconds)))
                return
            }
            let isFirst = backoff.failures == 0
            let jitter = Double.random(in: 0..<1, using: &generator)
            let pause = backoff.fail(retryAfterSeconds: seconds, slowly: slowly, jitter: jitter)
            gateClosedAt = owner.clock.monotonic()
            gate = gateClosedAt.advanced(byNanoseconds: pause)
            let failure = why
            let changed = owner.control.withLock { control in
                defer {
                    control.statistics.isBackendUp = false
                    control.statistics.lastFailure = failure
                }
                return control.statistics.lastFailure != failure
            }
            if isFirst || changed {
                owner.logger.warning(
                    "forwarding failed, will retry",
                    metadata: ["reason": "\(why)", "pause_seconds": "\(Double(pause) / 1e9)"])
            }
        }

        /// The backend will never take these bytes: halve them until the culprit is alone, and drop that.
        private mutating func refuse(_ batch: SpoolBatch, reason: String) {
            if batch.frames.count > 1 {
                let middle = batch.frames.count / 2
                retries.append(Attempt(batch: batch.part(0..<middle)))
                retries.append(Attempt(batch: batch.part(middle..<batch.frames.count)))
                return
            }
            owner.spool.settle(batch.frames, dropping: (batch.spanCount, ForwardDrop.refused.rawValue))
            if mayLog() {
                owner.logger.error(
                    "backend refused spans for good", metadata: ["spans": "\(batch.spanCount)", "reason": "\(reason)"])
            }
        }

        /// Refusals are counted each, and logged now and then.
        private mutating func mayLog() -> Bool {
            let now = owner.clock.monotonic()
            if now < nextLog { return false }
            nextLog = now.advanced(byNanoseconds: Forwarder.logPauseNanoseconds)
            return true
        }

        // MARK: Sleeping

        private func sleep(until drainDeadline: MonotonicTime?) {
            let now = owner.clock.monotonic()
            var deadline = now.advanced(byNanoseconds: 1_000_000_000)
            if let drainDeadline { deadline = min(deadline, drainDeadline) }
            let unread = owner.spool.unread
            let hasRoom = inFlight.count < (backoff.failures == 0 ? owner.options.maxInFlight : 1)
            if hasRoom && gate > now && (!retries.isEmpty || unread.since != nil) { deadline = min(deadline, gate) }
            if hasRoom && gate <= now {
                if let next = retries.map(\.notBefore).min() {
                    if next <= now { return }
                    deadline = min(deadline, next)
                }
                if let since = unread.since {
                    let due = since.advanced(byNanoseconds: owner.options.maxDelayNanoseconds)
                    deadline = min(deadline, due)
                }
                let threshold = unread.spans == 0 ? 1 : owner.options.maxBatchSpans
                owner.wakeThreshold.store(threshold, ordering: .releasing)
                // An append between the look and the store would find nobody to wake.
                if owner.spool.unread.spans >= threshold { deadline = now }
            }
            owner.multi.wait(milliseconds: deadline.milliseconds(from: now))
            owner.wakeThreshold.store(Int.max, ordering: .releasing)
        }
    }
}

extension SpoolBatch {
    /// Some of its frames, as a batch of their own.
    func part(_ indices: Range<Int>) -> SpoolBatch {
        var part = SpoolBatch()
        for frame in frames[indices] { part.append(frame, of: self) }
        return part
    }
}
