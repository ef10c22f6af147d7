package import Logging
package import Model
package import Platform
package import Redis
import Synchronization

/// Reads the messages of tasks that spans name, on a thread and a connection of its own, and leaves what they carry in
/// `SeenTasks`. Those who ask go on when it has answered, or without it.
///
/// Bounded in time: a request is answered within `traces.lookup-timeout`, or has failed. Bounded in number, so that Redis does
/// not notice: what is beyond is refused, at once. Where nothing useful has come for long, most requests are.
package final class TaskLookup: Sendable {
    /// Tasks that wait for an answer.
    static let maxWaiting = 4_000
    /// Tasks in a second.
    static let maxPerSecond = 5_000
    /// Of messages, in a second.
    static let maxBytesPerSecond = 32 << 20
    /// Tasks of one request.
    static let maxAtOnce = 1_000
    /// After so many tasks in a row that carried nothing, one request in `sampling` is made.
    static let uselessMax = 1_000
    static let sampling: UInt64 = 100
    private static let connectNanoseconds: UInt64 = 1_000_000_000
    fileprivate static let maxBackoffNanoseconds: UInt64 = 5_000_000_000
    /// After this the way to Redis is looked at again: a Cluster or sentinels may have another master.
    fileprivate static let preparedNanoseconds: UInt64 = 5_000_000_000

    /// What became of the tasks that were asked for.
    package enum Outcome: String, CaseIterable, Sendable {
        /// It carries what was asked for, a context or a time.
        case found
        /// Its message does not.
        case empty
        /// Asynq has deleted it.
        case gone
        /// Redis did not answer in time.
        case failed
        /// Redis answered with an error, or the message can't be read.
        case unreadable = "error"
        /// Not asked: Redis is away.
        case down
        /// Not asked: too many at a time.
        case limit
        /// Not asked, since nothing came of it lately.
        case skipped
    }

    fileprivate struct Request: Sendable {
        let questions: [TaskQuestion]
        let deadline: MonotonicTime
        let whenDone: @Sendable () -> Void
    }

    fileprivate struct State {
        var waiting: [Request] = []
        /// Those in hand included.
        var waitingTasks = 0
        /// False from a failure on until Redis is there again. The first connection is made for the first request.
        var isUp = true
        var second: UInt64 = 0
        var inSecond = 0
        var bytesInSecond = 0
        var uselessInARow = 0
        var turn: UInt64 = 0
        var outcomes: [Outcome: UInt64] = [:]
        var lastProblem: String?
    }

    private let target: RedisTarget
    private let tasks: SeenTasks
    private let clock: Clock
    private let logger: Logger
    private let state = Mutex(State())
    private let work: Waker
    private let interrupt: Waker
    private let patienceNanoseconds: UInt64
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// - Parameter patienceNanoseconds: for how long a request waits for its answer at most.
    package init(
        _ target: RedisTarget, tasks: SeenTasks, clock: Clock, logger: Logger,
        patienceNanoseconds: UInt64
    ) throws(SystemError) {
        self.patienceNanoseconds = patienceNanoseconds
        self.target = target
        self.tasks = tasks
        self.clock = clock
        self.logger = logger
        work = try Waker()
        interrupt = try Waker()
    }

    package var outcomes: [Outcome: UInt64] { state.withLock { $0.outcomes } }

    package func start() throws(SystemError) {
        let started = try OSThread(name: "task-lookup") { [self] in run() }
        thread.withLock { $0 = started }
    }

    package func beginStop() {
        isStopping.store(true, ordering: .releasing)
        interrupt.wake()
        work.wake()
    }

    package func awaitStop(until deadline: MonotonicTime) {
        thread.withLock { $0 }?.join(until: deadline)
    }

    /// False: they are not asked for. Else `whenDone` is called once, by another thread.
    package func lookUp(_ wanted: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool {
        let now = clock.monotonic()
        let (taken, excess) = (wanted.prefix(Self.maxAtOnce), max(0, wanted.count - Self.maxAtOnce))
        let request = Request(
            questions: Array(taken), deadline: now.advanced(byNanoseconds: patienceNanoseconds), whenDone: whenDone)
        let isTaken = state.withLock { state in
            if let refusal = state.refusal(of: taken.count, at: now) {
                state.outcomes[refusal, default: 0] += UInt64(wanted.count)
                return false
            }
            if excess > 0 { state.outcomes[.limit, default: 0] += UInt64(excess) }
            state.waiting.append(request)
            state.waitingTasks += taken.count
            return true
        }
        if isTaken { work.wake() }
        return isTaken
    }

    // MARK: The thread

    /// What the thread has in hand.
    fileprivate struct Desk {
        let client: any RedisClient
        var backoff = ReconnectBackoff(maxNanoseconds: maxBackoffNanoseconds)
        var budget = MessageBudget()
        /// When the way to Redis was looked at.
        var prepared: MonotonicTime?
    }

    private func run() {
        var desk = Desk(client: target.makeClient(clock: clock, interrupt: interrupt))
        while !isStopping.load(ordering: .acquiring) {
            let (isUp, request) = state.withLock { state in
                (state.isUp, state.waiting.isEmpty ? nil : state.waiting.removeFirst())
            }
            guard let request else {
                if isUp {
                    work.sleep(until: nil, clock: clock)
                } else if clock.monotonic() >= desk.backoff.nextAttempt {
                    prepare(&desk, until: clock.monotonic().advanced(byNanoseconds: Self.connectNanoseconds))
                } else {
                    work.sleep(until: desk.backoff.nextAttempt, clock: clock)
                }
                continue
            }
            let now = clock.monotonic()
            // One that has waited too long already is no reason to give up a good connection.
            if isUp && now < request.deadline && desk.needsPreparation(at: now) {
                prepare(&desk, until: request.deadline)
            }
            answer(request, &desk)
        }
        let left = state.withLock { state in
            defer { state.waiting = [] }
            state.isUp = false
            return state.waiting
        }
        for request in left { request.whenDone() }
    }

    /// Connects where there is no connection, and makes sure that the right node is asked.
    private func prepare(_ desk: inout Desk, until deadline: MonotonicTime) {
        do throws(RedisError) {
            try desk.client.prepare(deadline: deadline)
            desk.prepared = clock.monotonic()
            state.withLock { $0.isUp = true }
        } catch {
            note(error)
            noteDown(&desk.backoff)
        }
    }

    private func noteDown(_ backoff: inout ReconnectBackoff) {
        state.withLock { $0.isUp = false }
        backoff.noteFailure(at: clock.monotonic())
    }

    /// Once per cause: while Redis is away the monitor says so already.
    private func note(_ error: RedisError) {
        let isNews = state.withLock { state in
            defer { state.lastProblem = error.message }
            return state.lastProblem != error.message
        }
        if isNews { logger.info("tasks named by spans can't be looked up", metadata: ["error": "\(error.message)"]) }
    }

    private func answer(_ request: Request, _ desk: inout Desk) {
        var outcomes: [Outcome: UInt64] = [:]
        var rest = request.questions[...]
        while !rest.isEmpty, desk.client.isConnected, clock.monotonic() < request.deadline {
            let chunk = Array(rest.prefix(desk.budget.count))
            do throws(RedisError) {
                for outcome in try read(chunk, &desk, request.deadline) { outcomes[outcome, default: 0] += 1 }
                rest = rest.dropFirst(chunk.count)
                desk.backoff.noteSuccess()
            } catch {
                note(error)
                desk.budget.noteFailure()
                noteDown(&desk.backoff)
                break
            }
        }
        outcomes[.failed, default: 0] += UInt64(rest.count)
        state.withLock { $0.note(outcomes, of: request.questions.count) }
        request.whenDone()
    }

    private func read(
        _ wanted: [TaskQuestion], _ desk: inout Desk, _ deadline: MonotonicTime
    ) throws(RedisError) -> [Outcome] {
        var pipeline = RedisPipeline()
        for question in wanted {
            pipeline.add("HMGET", AsynqKeys.task(question.task.queue, id: question.task.id), Array("msg".utf8))
        }
        let replies = try desk.client.roundTrip(pipeline, deadline: deadline)
        // Of a Cluster: its topology is looked at before the next request.
        if !desk.client.takeNodeErrors().isEmpty { desk.prepared = nil }
        var outcomes: [Outcome] = []
        var bytes = 0
        for (question, reply) in zip(wanted, replies) {
            let count = reply.elements?.first?.bytes?.count ?? 0
            desk.budget.note(count)
            bytes += count
            outcomes.append(note(question, reply))
        }
        state.withLock { $0.bytesInSecond += bytes }
        // A Cluster that is down altogether.
        if replies.allSatisfy({ $0 == .unanswered }) { noteDown(&desk.backoff) }
        return outcomes
    }

    private func note(_ question: TaskQuestion, _ reply: RedisReply) -> Outcome {
        if reply == .unanswered { return .failed }
        let (queue, id) = (question.task.queue, question.task.id)
        do throws(RedisError) {
            guard let stored = try StoredTask(reply: reply, queue: queue, names: tasks.names) else { return .gone }
            tasks.note(queue: queue, id: id, ready: nil, task: stored)
            let helps =
                (question.wantsContext && stored.context?.reference.isValid == true)
                || (question.wantsTime && stored.enqueuedAt != nil)
            return helps ? .found : .empty
        } catch {
            note(error)
            return .unreadable
        }
    }
}

extension TaskLookup.Desk {
    fileprivate func needsPreparation(at now: MonotonicTime) -> Bool {
        guard client.isConnected, let prepared else { return true }
        return now.nanoseconds(since: prepared) > TaskLookup.preparedNanoseconds
    }
}

extension TaskLookup.State {
    /// Why so many more are not asked for now.
    fileprivate mutating func refusal(of count: Int, at now: MonotonicTime) -> TaskLookup.Outcome? {
        if !isUp { return .down }
        turn += 1
        if uselessInARow >= TaskLookup.uselessMax && turn % TaskLookup.sampling != 0 { return .skipped }
        let second = now.nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            inSecond = 0
            bytesInSecond = 0
        }
        if waitingTasks + count > TaskLookup.maxWaiting || inSecond + count > TaskLookup.maxPerSecond
            || bytesInSecond > TaskLookup.maxBytesPerSecond
        {
            return .limit
        }
        inSecond += count
        return nil
    }

    fileprivate mutating func note(_ found: [TaskLookup.Outcome: UInt64], of count: Int) {
        waitingTasks -= count
        for (outcome, number) in found { outcomes[outcome, default: 0] += number }
        if found[.found, default: 0] > 0 {
            uselessInARow = 0
        } else {
            uselessInARow += Int(found[.empty, default: 0] + found[.gone, default: 0] + found[.unreadable, default: 0])
        }
    }
}
