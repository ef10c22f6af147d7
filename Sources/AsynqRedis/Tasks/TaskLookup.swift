package import Logging
package import Model
package import Platform
package import Redis
import Synchronization

/// Reads the messages of tasks that spans name, on a thread and a connection of its own, and leaves what they carry in
/// `SeenTasks`. The requests that wait for it go on when it has answered, or without it.
///
/// It is bounded in time: a request is answered within `traces.lookup-timeout`, or has failed. It is bounded in number
/// by `LookupLimits`: what is beyond is refused at once.
package final class TaskLookup: Sendable {
    private static let connectTimeout = Duration.seconds(1)
    private static let maxBackoff = Duration.seconds(5)
    /// The time after which the way to Redis is checked again: a Cluster or sentinels may have another master.
    fileprivate static let preparedLifetime = Duration.seconds(5)

    /// The fate of a task that was asked for.
    package enum Outcome: String, CaseIterable, Sendable {
        /// The task's message carries what was asked for, a context or a time.
        case found
        /// The task's message carries none of it.
        case empty
        /// Asynq has deleted the task.
        case gone
        /// Redis did not answer in time.
        case failed
        /// Redis answered with an error, or the message can't be read.
        case unreadable = "error"
        /// Redis was not asked, because it is unavailable.
        case down
        /// Redis was not asked, because of a limit of `LookupLimits`.
        case limit
        /// Redis was not asked, because the last answers were useless.
        case skipped
    }

    fileprivate struct Request: Sendable {
        let questions: [TaskQuestion]
        let deadline: MonotonicTime
        let whenDone: @Sendable () -> Void
    }

    fileprivate struct State {
        var waiting: [Request] = []
        /// False from a failure on until Redis is there again. The first connection is made for the first request.
        var isUp = true
        var limits = LookupLimits()
        var outcomes: [Outcome: UInt64] = [:]
        var problems = CauseLog()
    }

    private let target: RedisTarget
    private let tasks: SeenTasks
    private let clock: Clock
    private let logger: Logger
    private let state = Mutex(State())
    private let work: Waker
    private let interrupt: Waker
    private let patience: Duration
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)
    package let heartbeat = Heartbeat()

    /// - Parameter patience: The longest time for which a request waits for its answer.
    /// - Throws: `SystemError` where the system can't make another waker.
    package init(
        _ target: RedisTarget, tasks: SeenTasks, clock: Clock, logger: Logger, patience: Duration
    ) throws(SystemError) {
        self.patience = patience
        self.target = target
        self.tasks = tasks
        self.clock = clock
        self.logger = logger
        work = try Waker()
        interrupt = try Waker()
    }

    package var outcomes: [Outcome: UInt64] { state.withLock { $0.outcomes } }

    /// Starts the thread.
    /// - Throws: `SystemError` where the system can't start another thread.
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

    /// Asks for the tasks. Returns false where they are not asked for. Otherwise `whenDone` is called once, by another
    /// thread.
    package func lookUp(_ wanted: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool {
        let now = clock.monotonic()
        let questions = Array(wanted.prefix(LookupLimits.maxAtOnce))
        let excess = wanted.count - questions.count
        let request = Request(
            questions: questions, deadline: now.advanced(by: patience), whenDone: whenDone)
        let isAdmitted = state.withLock { state in
            if let refusal = state.isUp ? state.limits.admit(questions.count, at: now) : .down {
                state.outcomes[refusal, default: 0] += UInt64(wanted.count)
                return false
            }
            if excess > 0 { state.outcomes[.limit, default: 0] += UInt64(excess) }
            state.waiting.append(request)
            heartbeat.promiseIfResting(by: request.deadline)
            return true
        }
        if isAdmitted { work.wake() }
        return isAdmitted
    }

    // MARK: The thread

    fileprivate struct ThreadState {
        let client: any RedisClient
        var backoff = ReconnectBackoff(max: maxBackoff)
        var limit = MessageLimit()
        /// The time when the way to Redis was checked; nil if it has to be checked before the next request.
        var prepared: MonotonicTime?
    }

    private func run() {
        var thread = ThreadState(client: target.makeClient(clock: clock, interrupt: interrupt))
        while !isStopping.load(ordering: .acquiring) {
            let (isUp, request) = state.withLock { state in
                if state.isUp && state.waiting.isEmpty { heartbeat.promise(by: nil) }
                return (state.isUp, state.waiting.isEmpty ? nil : state.waiting.removeFirst())
            }
            let now = clock.monotonic()
            guard let request else {
                if isUp {
                    work.sleep(until: nil, clock: clock)
                } else if now >= thread.backoff.nextAttempt {
                    let deadline = now.advanced(by: Self.connectTimeout)
                    heartbeat.promise(by: deadline)
                    prepare(&thread, until: deadline)
                } else {
                    heartbeat.promise(by: thread.backoff.nextAttempt)
                    work.sleep(until: thread.backoff.nextAttempt, clock: clock)
                }
                continue
            }
            heartbeat.promise(by: max(now, request.deadline))
            // A good connection stays open when a request has waited too long.
            if isUp && now < request.deadline && thread.needsPreparation(at: now) {
                prepare(&thread, until: request.deadline)
            }
            answer(request, &thread)
        }
        heartbeat.promise(by: nil)
        let left = state.withLock { state in
            defer { state.waiting = [] }
            state.isUp = false
            return state.waiting
        }
        for request in left { request.whenDone() }
    }

    /// Connects where there is no connection, and makes sure that the right node is asked.
    private func prepare(_ thread: inout ThreadState, until deadline: MonotonicTime) {
        do throws(RedisError) {
            try thread.client.prepare(deadline: deadline)
            thread.prepared = clock.monotonic()
            let now = clock.monotonic()
            state.withLock { state in
                if !state.isUp { _ = state.problems.recordEnd(at: now) }
                state.isUp = true
            }
        } catch {
            report(error)
            recordDown(&thread.backoff)
        }
    }

    private func recordDown(_ backoff: inout ReconnectBackoff) {
        state.withLock { $0.isUp = false }
        backoff.recordFailure(at: clock.monotonic())
    }

    /// Logs once per cause: while Redis is unavailable the monitor says so already.
    private func report(_ error: RedisError) {
        let now = clock.monotonic()
        guard let (text, more) = state.withLock({ $0.problems.take(error.message, at: now) }) else { return }
        logger.info(
            "tasks named by spans can't be looked up",
            metadata: ["error": "\(text)", "more_since_last_line": "\(more)"])
    }

    private func answer(_ request: Request, _ thread: inout ThreadState) {
        var outcomes: [Outcome: UInt64] = [:]
        do throws(RedisError) {
            var left: [Sized] = []
            if thread.client.isConnected && clock.monotonic() < request.deadline {
                left = try measure(request.questions, thread: &thread, outcomes: &outcomes, deadline: request.deadline)
            }
            while !left.isEmpty, thread.client.isConnected, clock.monotonic() < request.deadline {
                var portion = thread.limit.portion
                let chunk = left.prefix { portion.take($0.bytes) }.map(\.question)
                for outcome in try read(chunk, thread: &thread, deadline: request.deadline) {
                    outcomes[outcome, default: 0] += 1
                }
                left.removeFirst(chunk.count)
                thread.limit.recordSuccess()
                thread.backoff.recordSuccess()
            }
        } catch {
            report(error)
            thread.limit.recordFailure()
            recordDown(&thread.backoff)
        }
        outcomes[.failed, default: 0] += UInt64(request.questions.count) - outcomes.values.reduce(0, +)
        state.withLock { state in
            state.limits.recordAnswer(outcomes, of: request.questions.count)
            for (outcome, number) in outcomes { state.outcomes[outcome, default: 0] += number }
        }
        request.whenDone()
    }

    private typealias Sized = (question: TaskQuestion, bytes: Int64)

    /// Returns the tasks whose messages may be read, with the lengths of these; counts the fate of the others.
    private func measure(
        _ questions: [TaskQuestion], thread: inout ThreadState, outcomes: inout [Outcome: UInt64],
        deadline: MonotonicTime
    ) throws(RedisError) -> [Sized] {
        var pipeline = RedisPipeline()
        let lengths = questions.map { pipeline.messageLength($0.task.queue, id: $0.task.id) }
        let replies = try roundTrip(pipeline, thread: &thread, deadline: deadline)
        var sized: [Sized] = []
        for (question, ask) in zip(questions, lengths) {
            var outcome = Outcome.failed
            do throws(RedisError) {
                if let bytes = try replies[ask] {
                    if let refusal = MessageLimit.refusal(bytes, queue: question.task.queue, id: question.task.id) {
                        throw refusal
                    }
                    if bytes > 0 {
                        sized.append((question, bytes))
                        continue
                    }
                    outcome = .gone
                }
            } catch {
                report(error)
                outcome = .unreadable
            }
            outcomes[outcome, default: 0] += 1
        }
        return sized
    }

    private func roundTrip(
        _ pipeline: RedisPipeline, thread: inout ThreadState, deadline: MonotonicTime
    ) throws(RedisError) -> [RedisReply] {
        let replies = try thread.client.roundTrip(pipeline, deadline: deadline)
        // A Cluster's topology is checked before the next request.
        if !thread.client.takeNodeErrors().isEmpty { thread.prepared = nil }
        // The whole Cluster is down.
        if replies.allSatisfy({ $0 == .unanswered }) { recordDown(&thread.backoff) }
        return replies
    }

    private func read(
        _ wanted: [TaskQuestion], thread: inout ThreadState, deadline: MonotonicTime
    ) throws(RedisError) -> [Outcome] {
        var pipeline = RedisPipeline()
        for question in wanted {
            pipeline.add("HMGET", AsynqKeys.task(question.task.queue, id: question.task.id), Array("msg".utf8))
        }
        let replies = try roundTrip(pipeline, thread: &thread, deadline: deadline)
        let bytes = replies.reduce(0) { $0 + ($1.elements?.first?.bytes?.count ?? 0) }
        state.withLock { $0.limits.recordRead(bytes) }
        return zip(wanted, replies).map { record($1, to: $0) }
    }

    /// Leaves the content of the reply in `SeenTasks`.
    private func record(_ reply: RedisReply, to question: TaskQuestion) -> Outcome {
        if reply == .unanswered { return .failed }
        let (queue, id) = (question.task.queue, question.task.id)
        do throws(RedisError) {
            guard let stored = try StoredTask(reply: reply, queue: queue, names: tasks.names) else { return .gone }
            tasks.record(queue: queue, id: id, ready: nil, task: stored)
            let helps =
                (question.wantsContext && stored.context?.reference.isValid == true)
                || (question.wantsTime && stored.enqueuedAt != nil)
            return helps ? .found : .empty
        } catch {
            report(error)
            return .unreadable
        }
    }
}

extension TaskLookup.ThreadState {
    fileprivate func needsPreparation(at now: MonotonicTime) -> Bool {
        guard client.isConnected, let prepared else { return true }
        return now.duration(since: prepared) > TaskLookup.preparedLifetime
    }
}
