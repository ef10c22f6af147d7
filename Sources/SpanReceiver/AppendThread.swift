package import Model
import NIOCore
package import Platform
import Synchronization

/// One request to append. Either the thread that appends answers its sender, or the sender's patience.
final class AppendJob: Sendable {
    let bytes: Int
    private let isAnswered = Atomic<Bool>(false)
    fileprivate let answer: EventLoopPromise<TraceOutcome>
    fileprivate let work: @Sendable (AppendJob) -> TraceOutcome?
    private let whenLate: @Sendable () -> TraceOutcome

    /// - Parameters:
    ///   - bytes: The bytes that it holds in memory.
    ///   - answer: The promise that its sender waits for.
    ///   - work: Appends, and returns the answer where `claim` lets it; nil if that comes later, or has come.
    ///   - whenLate: Returns the answer that nothing was kept.
    init(
        bytes: Int, answer: EventLoopPromise<TraceOutcome>, work: @escaping @Sendable (AppendJob) -> TraceOutcome?,
        whenLate: @escaping @Sendable () -> TraceOutcome
    ) {
        self.bytes = bytes
        self.answer = answer
        self.work = work
        self.whenLate = whenLate
    }

    /// Takes the right to answer the sender. Returns false where it was answered already: nothing may be kept then.
    func claim() -> Bool { !isAnswered.exchange(true, ordering: .acquiringAndReleasing) }

    fileprivate var isClaimed: Bool { isAnswered.load(ordering: .acquiring) }

    fileprivate func beLate() {
        if claim() { answer.succeed(whenLate()) }
    }
}

/// Appends to the spool, one request after the other, so that a disk that hangs hangs this thread and no event loop.
///
/// | state   | a new request           | left by                                                    |
/// |---------|-------------------------|------------------------------------------------------------|
/// | moving  | waits for its turn      | an append that takes longer than `patience` → stalled      |
/// | stalled | is refused at once      | the append returns → moving; jobs that waited were refused |
/// | ending  | is refused at once      | –                                                          |
package final class AppendThread: Sendable {
    /// The time within which, with one `checkInterval`, a sender is told.
    static let patience = TimeAmount.milliseconds(500)
    static let checkInterval = TimeAmount.milliseconds(250)
    /// The bytes that waiting requests may hold together; one request of any size may wait.
    private let maxWaitingBytes: Int

    /// The size from which an append takes longer than a wake-up: such a request waits for no others, and no answer waits for it.
    private static let smallBytes = 64 << 10

    /// The most answers that are given together, so that the event loop wakes once for them.
    private static let answersMax = 16

    private typealias Answer = (promise: EventLoopPromise<TraceOutcome>, outcome: TraceOutcome)

    private enum Entry: Sendable {
        case request(AppendJob)
        /// Work that no sender waits for: it is done in its turn, however late.
        case other(@Sendable () -> Void)

        var job: AppendJob? {
            if case .request(let job) = self { job } else { nil }
        }

        var isSmall: Bool { job.map { $0.bytes < AppendThread.smallBytes } ?? false }
    }

    private struct State {
        var waiting = FIFO<Entry>()
        var current: (entry: Entry, since: NIODeadline)?
        var waitingBytes = 0
        /// The answers of requests that are appended.
        var answers: [Answer] = []
        var isStalled = false
        var isEnding = false
        /// True while the thread has nothing to do, and is to be woken for the next entry.
        var isAsleep = true
        /// True while a check for jobs that wait for too long is scheduled.
        var isChecking = false

        /// Returns whether the thread has to be woken.
        mutating func append(_ entry: Entry) -> Bool {
            waiting.append(entry)
            waitingBytes += entry.job?.bytes ?? 0
            return exchange(&isAsleep, with: false)
        }

        mutating func take() -> Entry? {
            guard let entry = waiting.popFirst() else {
                isAsleep = true
                return nil
            }
            waitingBytes -= entry.job?.bytes ?? 0
            current = (entry, .now())
            return entry
        }

        /// Ends the turn of the current entry. Returns the answers that are due.
        mutating func finish(_ answer: Answer?) -> [Answer] {
            current = nil
            isStalled = false
            if let answer { answers.append(answer) }
            let mayWait = waiting.next?.isSmall ?? false
            return mayWait && answers.count < AppendThread.answersMax ? [] : exchange(&answers, with: [])
        }
    }

    private let state = Mutex(State())
    private let clock: Clock
    private let work = Semaphore()
    private let thread = Mutex<OSThread?>(nil)
    package let heartbeat = Heartbeat()

    package init(maxWaitingBytes: Int = 16 << 20, clock: Clock) {
        self.maxWaitingBytes = maxWaitingBytes
        self.clock = clock
    }

    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        let started = try OSThread(name: "spool-append") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Refuses what comes from now on, and waits until what came before is appended, or until the deadline.
    package func stop(until deadline: MonotonicTime) {
        state.withLock { $0.isEnding = true }
        work.post()
        thread.withLock { $0 }?.join(until: deadline)
    }

    /// Returns whether the thread has to be woken.
    private func append(_ entry: Entry, to state: inout State) -> Bool {
        heartbeat.promiseIfResting(by: promise)
        return state.append(entry)
    }

    /// Does something between two appends, in its turn, however late that is.
    package func run(_ body: @escaping @Sendable () -> Void) {
        if state.withLock({ append(.other(body), to: &$0) }) { work.post() }
    }

    /// - Throws: `SinkRefusal` with the reason why the request has no turn.
    func submit(_ job: AppendJob, on eventLoop: any EventLoop) throws(SinkRefusal) {
        let (refusal, wantsCheck, isAsleep) = state.withLock { state -> (String?, Bool, Bool) in
            if state.isEnding { return ("the program is ending", false, false) }
            if state.isStalled { return (Self.stalled, false, false) }
            if state.waitingBytes > 0 && state.waitingBytes + job.bytes > maxWaitingBytes {
                return ("more requests wait for the spool's disk than are held in memory", false, false)
            }
            let isAsleep = append(.request(job), to: &state)
            return (nil, !exchange(&state.isChecking, with: true), isAsleep)
        }
        if let refusal { throw SinkRefusal(.unavailable, refusal) }
        if isAsleep {
            // What other connections have sent meanwhile is appended with it, once the loop has read all.
            if job.bytes < Self.smallBytes && eventLoop.inEventLoop {
                eventLoop.execute { [work] in work.post() }
            } else {
                work.post()
            }
        }
        if wantsCheck { eventLoop.scheduleTask(in: Self.checkInterval) { [self] in check(eventLoop) } }
    }

    static let stalled = "the spool's disk does not answer"

    /// Answers all that wait if one append takes too long, and looks again while any is under way. While appends end in
    /// time, a request behind many large ones waits for its turn.
    private func check(_ eventLoop: any EventLoop) {
        let latest = NIODeadline.now() - Self.patience
        // They wait for an append that takes long.
        Self.give(state.withLock { exchange(&$0.answers, with: []) })
        let (late, goesOn) = state.withLock { state -> ([AppendJob], Bool) in
            state.isChecking = state.current != nil || !state.waiting.isEmpty
            // Once it has claimed the answer, the disk has its request.
            guard let current = state.current, current.entry.job?.isClaimed != true, current.since <= latest else {
                return ([], state.isChecking)
            }
            let late = state.waiting.removeAll { $0.job != nil }.compactMap(\.job)
            (state.waitingBytes, state.isStalled) = (0, true)
            return ([current.entry.job].compactMap(\.self) + late, true)
        }
        for job in late { job.beLate() }
        if goesOn { eventLoop.scheduleTask(in: Self.checkInterval) { [self] in check(eventLoop) } }
    }

    private static func give(_ answers: [Answer]) {
        answers.first?.promise.futureResult.eventLoop.execute {
            for answer in answers { answer.promise.succeed(answer.outcome) }
        }
    }

    private func run() {
        while true {
            guard let entry = state.withLock({ $0.take() }) else {
                if state.withLock({ $0.isEnding && $0.waiting.isEmpty }) { return }
                work.wait()
                continue
            }
            heartbeat.promise(by: promise)
            var answer: Answer?
            switch entry {
            case .request(let job): answer = job.work(job).map { (job.answer, $0) }
            case .other(let body): body()
            }
            let answers = state.withLock { state in
                heartbeat.promise(by: state.waiting.isEmpty ? nil : promise)
                return state.finish(answer)
            }
            Self.give(answers)
        }
    }

    /// The moment by which one append is over, and the way to it, unless the disk hangs.
    private var promise: MonotonicTime { clock.monotonic().advanced(by: SerialThread.longestWork) }
}
