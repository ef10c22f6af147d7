package import Model
import NIOCore
package import Platform
import Synchronization

/// One request to append. Either the thread that appends answers its sender, or the sender's patience.
final class AppendJob: Sendable {
    let bytes: Int
    private let isAnswered = Atomic<Bool>(false)
    fileprivate let work: @Sendable (AppendJob) -> Void
    private let whenLate: @Sendable () -> Void

    /// - Parameters:
    ///   - bytes: The bytes that it holds in memory.
    ///   - work: Appends and, where `claim` lets it, answers.
    ///   - whenLate: Tells the sender that nothing was kept.
    init(
        bytes: Int, work: @escaping @Sendable (AppendJob) -> Void, whenLate: @escaping @Sendable () -> Void
    ) {
        self.bytes = bytes
        self.whenLate = whenLate
        self.work = work
    }

    /// Takes the right to answer the sender. Returns false where it was answered already: nothing may be kept then.
    func claim() -> Bool { !isAnswered.exchange(true, ordering: .acquiringAndReleasing) }

    fileprivate var isClaimed: Bool { isAnswered.load(ordering: .acquiring) }

    fileprivate func beLate() {
        if claim() { whenLate() }
    }
}

/// Appends to the spool, one request after the other, so that a disk that hangs hangs this thread and no event loop.
///
/// | state   | a new request           | left by                                                    |
/// |---------|-------------------------|------------------------------------------------------------|
/// | moving  | waits for its turn      | an append that takes longer than `patience` → stalled      |
/// | stalled | is refused at once      | the append returns → moving; those who waited were refused |
/// | ending  | is refused at once      | –                                                          |
package final class AppendThread: Sendable {
    /// The time within which, with one `checkInterval`, a sender is told.
    static let patience = TimeAmount.milliseconds(500)
    static let checkInterval = TimeAmount.milliseconds(250)
    /// The bytes that waiting requests may hold together; one request of any size may wait.
    private let maxWaitingBytes: Int

    private struct Entry: Sendable {
        let job: AppendJob
        /// True if no sender waits for it: it is done in its turn, however late.
        var mayWait = false
    }

    private struct State {
        var waiting = FIFO<Entry>()
        var current: (job: AppendJob, since: NIODeadline)?
        var waitingBytes = 0
        var isStalled = false
        var isEnding = false
        /// True while a look at jobs that wait for too long is scheduled.
        var isChecking = false

        mutating func take() -> Entry? {
            guard let entry = waiting.popFirst() else { return nil }
            waitingBytes -= entry.job.bytes
            current = (entry.job, .now())
            return entry
        }
    }

    private let state = Mutex(State())
    private let work = Semaphore()
    private let thread = Mutex<OSThread?>(nil)

    package init(maxWaitingBytes: Int = 16 << 20) {
        self.maxWaitingBytes = maxWaitingBytes
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

    /// Does something between two appends, in its turn, however late that is.
    package func run(_ body: @escaping @Sendable () -> Void) {
        state.withLock { state in
            let job = AppendJob(bytes: 0, work: { _ in body() }, whenLate: {})
            state.waiting.append(Entry(job: job, mayWait: true))
        }
        work.post()
    }

    /// - Throws: `SinkRefusal` with the reason why the request has no turn.
    func submit(_ job: AppendJob, on eventLoop: any EventLoop) throws(SinkRefusal) {
        let (refusal, wantsCheck) = state.withLock { state -> (String?, Bool) in
            if state.isEnding { return ("the program is ending", false) }
            if state.isStalled { return (Self.stalled, false) }
            if state.waitingBytes > 0 && state.waitingBytes + job.bytes > maxWaitingBytes {
                return ("more requests wait for the spool's disk than are held in memory", false)
            }
            state.waiting.append(Entry(job: job))
            state.waitingBytes += job.bytes
            defer { state.isChecking = true }
            return (nil, !state.isChecking)
        }
        if let refusal { throw SinkRefusal(.unavailable, refusal) }
        work.post()
        if wantsCheck { eventLoop.scheduleTask(in: Self.checkInterval) { [self] in check(eventLoop) } }
    }

    static let stalled = "the spool's disk does not answer"

    /// Answers all that wait if one append takes too long, and looks again while any is under way. While appends end in
    /// time, a request behind many large ones waits for its turn.
    private func check(_ eventLoop: any EventLoop) {
        let latest = NIODeadline.now() - Self.patience
        let (late, goesOn) = state.withLock { state -> ([AppendJob], Bool) in
            state.isChecking = state.current != nil || !state.waiting.isEmpty
            // Once it has claimed the answer, the disk has its request.
            guard let current = state.current, !current.job.isClaimed, current.since <= latest else {
                return ([], state.isChecking)
            }
            let late = state.waiting.removeAll { !$0.mayWait }.map(\.job)
            (state.waitingBytes, state.isStalled) = (0, true)
            return ([current.job] + late, true)
        }
        for job in late { job.beLate() }
        if goesOn { eventLoop.scheduleTask(in: Self.checkInterval) { [self] in check(eventLoop) } }
    }

    private func run() {
        while true {
            work.wait()
            guard let entry = state.withLock({ $0.take() }) else {
                // Some of those that the semaphore counts were late and are gone.
                if state.withLock({ $0.isEnding && $0.waiting.isEmpty }) { return }
                continue
            }
            entry.job.work(entry.job)
            state.withLock { state in
                state.current = nil
                state.isStalled = false
            }
        }
    }
}
