package import Logging
package import Model
package import Platform
import Synchronization

/// Reads the messages of tasks that spans name, on a thread and a connection of its own, and leaves what they carry in
/// `SeenTasks`. Those who ask go on when it has answered, or without it.
///
/// Bounded in time: a request is answered within `patienceNanoseconds`, or has failed. Bounded in number, so that Redis does
/// not notice: what is beyond is refused, at once. Where nothing useful has come for long, most requests are.
package final class TaskLookup: Sendable {
    package static let patienceNanoseconds: UInt64 = 100_000_000
    /// Tasks that wait for an answer.
    static let maxWaiting = 4_000
    /// Tasks in a second.
    static let maxPerSecond = 5_000
    /// Of messages in one round trip, if they are as large as the largest ones of late.
    private static let roundTripBytes = 4 << 20
    private static let assumedMessageBytes = 16 << 10
    private static let roundTripTasks = 1_000
    /// Tasks of one request.
    static let maxAtOnce = 1_000
    /// After so many tasks in a row that carried nothing, one request in `sampling` is made.
    static let uselessMax = 1_000
    static let sampling: UInt64 = 100
    private static let connectNanoseconds: UInt64 = 1_000_000_000
    private static let maxBackoffNanoseconds: UInt64 = 5_000_000_000

    /// What became of the tasks that were asked for.
    package enum Outcome: String, CaseIterable, Sendable {
        /// It carries a context or a time.
        case found
        /// Its message carries neither.
        case empty
        /// Asynq has deleted it.
        case gone
        /// Redis did not answer in time, or with an error.
        case failed
        /// Not asked: Redis is away.
        case down
        /// Not asked: too many at a time.
        case limit
        /// Not asked, since nothing came of it lately.
        case skipped
    }

    fileprivate struct Request: Sendable {
        let tasks: [TaskName]
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
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    package init(_ target: RedisTarget, tasks: SeenTasks, clock: Clock, logger: Logger) throws(SystemError) {
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
        thread.withLock { $0 }?.join(until: deadline, clock: clock)
    }

    /// False: they are not asked for. Else `whenDone` is called once, by another thread.
    package func lookUp(_ wanted: [TaskName], whenDone: @escaping @Sendable () -> Void) -> Bool {
        let now = clock.monotonic()
        let (taken, excess) = (wanted.prefix(Self.maxAtOnce), max(0, wanted.count - Self.maxAtOnce))
        let request = Request(
            tasks: Array(taken), deadline: now.advanced(byNanoseconds: Self.patienceNanoseconds), whenDone: whenDone)
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

    private func run() {
        let client = target.makeClient(clock: clock, interrupt: interrupt)
        var backoff = ReconnectBackoff(maxNanoseconds: Self.maxBackoffNanoseconds)
        var messageBytes = Self.assumedMessageBytes
        while !isStopping.load(ordering: .acquiring) {
            let isUp = state.withLock { $0.isUp }
            if !isUp && clock.monotonic() >= backoff.nextAttempt {
                connect(client, &backoff, until: clock.monotonic().advanced(byNanoseconds: Self.connectNanoseconds))
            }
            let request = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            guard let request else {
                work.sleep(until: state.withLock { $0.isUp } ? nil : backoff.nextAttempt, clock: clock)
                continue
            }
            if !client.isConnected && isUp { connect(client, &backoff, until: request.deadline) }
            answer(request, client, &messageBytes)
            if !client.isConnected && state.withLock({ $0.isUp }) { noteDown(&backoff) }
        }
        let left = state.withLock { state in
            defer { state.waiting = [] }
            state.isUp = false
            return state.waiting
        }
        for request in left { request.whenDone() }
    }

    private func connect(_ client: any RedisClient, _ backoff: inout ReconnectBackoff, until deadline: MonotonicTime) {
        do throws(RedisError) {
            try client.prepare(deadline: deadline)
            backoff.noteSuccess()
            state.withLock { $0.isUp = true }
        } catch {
            note(error)
            noteDown(&backoff)
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

    private func answer(_ request: Request, _ client: any RedisClient, _ messageBytes: inout Int) {
        var outcomes: [Outcome: UInt64] = [:]
        var rest = request.tasks[...]
        while !rest.isEmpty, client.isConnected, clock.monotonic() < request.deadline {
            let chunk = Array(rest.prefix(max(1, min(Self.roundTripTasks, Self.roundTripBytes / messageBytes))))
            do throws(RedisError) {
                for outcome in try read(chunk, client, request.deadline, &messageBytes) { outcomes[outcome, default: 0] += 1 }
                rest = rest.dropFirst(chunk.count)
            } catch {
                note(error)
                break
            }
        }
        outcomes[.failed, default: 0] += UInt64(rest.count)
        state.withLock { $0.note(outcomes, of: request.tasks.count) }
        request.whenDone()
    }

    private func read(
        _ wanted: [TaskName], _ client: any RedisClient, _ deadline: MonotonicTime, _ messageBytes: inout Int
    ) throws(RedisError) -> [Outcome] {
        var pipeline = RedisPipeline()
        for task in wanted { pipeline.add("HMGET", AsynqKeys.task(task.queue, id: task.id), Array("msg".utf8)) }
        let replies = try client.roundTrip(pipeline, deadline: deadline)
        _ = client.takeNodeErrors()
        var outcomes: [Outcome] = []
        for (task, reply) in zip(wanted, replies) {
            messageBytes = max(Self.assumedMessageBytes, reply.elements?.first?.bytes?.count ?? 0, messageBytes * 7 / 8)
            outcomes.append(note(task, reply))
        }
        return outcomes
    }

    private func note(_ task: TaskName, _ reply: RedisReply) -> Outcome {
        if reply == .unanswered { return .failed }
        do throws(RedisError) {
            guard let stored = try StoredTask(reply: reply, queue: task.queue, names: tasks.names) else { return .gone }
            tasks.note(queue: task.queue, id: task.id, ready: nil, task: stored)
            return stored.context == nil && stored.enqueuedAt == nil ? .empty : .found
        } catch {
            note(error)
            return .failed
        }
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
        }
        if waitingTasks + count > TaskLookup.maxWaiting || inSecond + count > TaskLookup.maxPerSecond { return .limit }
        inSecond += count
        return nil
    }

    fileprivate mutating func note(_ found: [TaskLookup.Outcome: UInt64], of count: Int) {
        waitingTasks -= count
        for (outcome, number) in found { outcomes[outcome, default: 0] += number }
        if found[.found, default: 0] > 0 {
            uselessInARow = 0
        } else {
            uselessInARow += Int(found[.empty, default: 0] + found[.gone, default: 0])
        }
    }
}
