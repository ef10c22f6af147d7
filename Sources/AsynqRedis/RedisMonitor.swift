package import Logging
package import Model
package import Platform
import Redis
import Synchronization

/// Asks Redis at intervals, on a thread of its own, one thing at a time: the scrape, the look-ahead sample, and the
/// sampling of memory. In between it asks what people want to know (`RedisInquiries`). Only the scrape connects; the
/// others wait for it while Redis is unavailable.
package final class RedisMonitor: Sendable {
    /// The longest pause between two tries while Redis is unavailable.
    private static let maxBackoff = Duration.seconds(2)

    private let options: RedisMonitorOptions
    private let clock: Clock
    private let logger: Logger
    /// The tasks that it sees, for the receiver of spans.
    package let seenTasks: SeenTasks
    private let status = Mutex(RedisStatus())
    private let letters = Mutex(NewestDeadLetters())
    private let observers = Mutex(RedisObservers())
    /// The filter that was set from outside, taken over before the next scrape.
    private let newFilter = Mutex<QueueFilter?>(nil)
    private let inquiries = Mutex(RedisInquiries())
    /// The waker that ends the thread's sleep.
    private let waker: Waker
    package let heartbeat = Heartbeat()
    /// The waker that ends a round trip.
    private let interrupt: Waker
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// - Throws: `SystemError` where the system can't make another waker.
    package init(_ options: RedisMonitorOptions, clock: Clock, logger: Logger) throws(SystemError) {
        self.options = options
        self.clock = clock
        self.logger = logger
        seenTasks = SeenTasks(bytes: options.seenTasksBytes, keys: options.contextKeys)
        waker = try Waker()
        interrupt = try Waker()
    }

    package var current: RedisStatus {
        status.withLock { $0 }
    }

    /// The newest dead letters of each queue, newest first.
    package var newestDeadLetters: [DeadLetter] { letters.withLock { $0.all } }

    /// Sets the receivers of what is found. It takes effect with `start`.
    package func report(to observers: RedisObservers) {
        self.observers.withLock { $0 = observers }
    }

    /// Starts the thread.
    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        let started = try OSThread(name: "redis") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Sets the filter for the next scrape. Counters of queues that stay go on.
    package func use(_ filter: QueueFilter) {
        newFilter.withLock { $0 = filter }
    }

    /// Tells the thread to end; a scrape that is under way ends early.
    package func beginStop() {
        isStopping.store(true, ordering: .releasing)
        interrupt.wake()
        waker.wake()
    }

    /// Waits for the end of the thread until the deadline.
    package func awaitStop(until deadline: MonotonicTime) {
        thread.withLock { $0 }?.join(until: deadline)
    }

    // MARK: Inquiries

    /// Asks for the place of a task. The answer is nil where it does not exist, or where `redis.queues` leaves its
    /// queue out. `whenDone` is called once, on this thread or on that of Redis.
    package func findTask(_ task: TaskName, whenDone: @escaping @Sendable (InquiryAnswer<TaskDetails?>) -> Void) {
        add(.task(task, whenDone))
    }

    /// Asks for the retries of a queue that are due next, the soonest first. An answer of the last seconds is given
    /// again.
    package func dueRetries(
        of queue: QueueName, whenDone: @escaping @Sendable (InquiryAnswer<[DueRetry]>) -> Void
    ) {
        if let known = knownRetries(of: queue) { return whenDone(.answer(known)) }
        add(.dueRetries(queue, whenDone))
    }

    /// Returns the retries of a queue as the last seconds have told them; nil where they were not asked for.
    package func knownRetries(of queue: QueueName) -> [DueRetry]? {
        let now = clock.monotonic()
        return inquiries.withLock { $0.knownRetries(of: queue, at: now) }
    }

    /// Asks which of the queues that the last scrape saw has a task of this id. `whenDone` is called once, likewise.
    package func searchTask(id: [UInt8], whenDone: @escaping @Sendable (InquiryAnswer<TaskSearch>) -> Void) {
        add(.search(id: id, whenDone))
    }

    private func add(_ inquiry: RedisInquiry) {
        let status = current
        if status.snapshot == nil {
            return inquiry.refuse(.unavailable(status.lastError ?? "Redis was not read yet"))
        }
        let now = clock.monotonic()
        if let refusal = inquiries.withLock({ $0.add(inquiry, at: now) }) { return inquiry.refuse(refusal) }
        waker.wake()
    }

    // MARK: The thread

    private struct ThreadState {
        let observers: RedisObservers
        var scraper: QueueScraper
        var lookAhead: LookAheadSampler?
        var deadLetters = DeadLetterReader()
        let client: any RedisClient
        var backoff = ReconnectBackoff(max: maxBackoff)
        var due: [RedisWork: MonotonicTime] = [:]
        /// The reason why other work failed as a whole. The scrape that follows at once says whether that was Redis'
        /// own failure.
        var failure: (work: RedisWork, error: RedisError)?
        var clockDifferences = CauseLog()
    }

    private func run() {
        var state = ThreadState(
            observers: observers.withLock { $0 },
            scraper: QueueScraper(filter: options.filter, clock: clock, maxQueueBytes: options.queueBytes),
            client: options.target.makeClient(clock: clock, interrupt: interrupt))
        state.due[.scrape] = clock.monotonic()
        if let look = options.lookAhead {
            state.lookAhead = LookAheadSampler(
                count: look.count, interval: look.interval, clock: clock, tasks: seenTasks)
            state.due[.lookAhead] = clock.monotonic()
        }
        if options.memoryInterval != nil { state.due[.memorySampling] = clock.monotonic() }
        while !isStopping.load(ordering: .acquiring) {
            if inquiries.withLock({ !$0.isEmpty }) { state.due[.inquiries] = clock.monotonic() }
            for work in RedisWork.allCases {
                let start = clock.monotonic()
                guard let due = state.due[work], due <= start, !isStopping.load(ordering: .acquiring) else { continue }
                // The time counts from the start, so that the pace does not depend on how long the work takes.
                state.due[work] = interval(of: work).map { start.advanced(by: $0) }
                heartbeat.promise(by: start.advanced(by: options.timeout))
                perform(work, &state, at: start)
            }
            let next = state.due.values.min()
            heartbeat.promise(by: next)
            waker.sleep(until: next, clock: clock)
        }
        heartbeat.promise(by: nil)
        let left = inquiries.withLock { $0.close() }
        for inquiry in left { inquiry.refuse(.unavailable("the collector is stopping")) }
    }

    /// Returns the interval; nil for work that is not due by itself.
    private func interval(of work: RedisWork) -> Duration? {
        switch work {
        case .scrape: options.interval
        case .lookAhead: options.lookAhead?.interval
        case .memorySampling: options.memoryInterval
        // A scrape that finds some makes these due, or an inquiry that comes.
        case .deadLetters, .inquiries: nil
        }
    }

    private func perform(_ work: RedisWork, _ state: inout ThreadState, at start: MonotonicTime) {
        let deadline = start.advanced(by: options.timeout)
        do throws(RedisError) {
            switch work {
            case .scrape:
                try scrape(&state, at: start, deadline: deadline)
                state.backoff.recordSuccess()
                if let failure = state.failure.take() { recordErrors([failure.error], of: failure.work) }
            case .lookAhead: try sampleQueues(&state, deadline: deadline)
            case .memorySampling: try sampleMemory(&state, deadline: deadline)
            case .deadLetters: try readDeadLetters(&state, deadline: deadline)
            case .inquiries: try answerInquiries(&state, deadline: deadline)
            }
        } catch {
            if isStopping.load(ordering: .acquiring) { return }
            if work == .scrape {
                // The failure of the work before it is this one.
                state.failure = nil
                state.backoff.recordFailure(at: clock.monotonic())
                state.due[.scrape] = state.backoff.nextAttempt
                recordFailure(error, seconds: clock.monotonic().seconds(since: start))
            } else {
                if work == .memorySampling { status.withLock { $0.recordMemory([:]) } }
                // Once Redis may be gone, no answer is given from an old scrape.
                state.failure = (work, error)
                state.due[.scrape] = clock.monotonic()
            }
        }
    }

    private func scrape(_ state: inout ThreadState, at start: MonotonicTime, deadline: MonotonicTime) throws(RedisError)
    {
        if let filter = newFilter.withLock({ $0.take() }) { state.scraper.use(filter) }
        try state.client.prepare(deadline: deadline)
        let snapshot = try state.scraper.scrape(state.client, deadline: deadline)
        recordSuccess(snapshot, seconds: clock.monotonic().seconds(since: start))
        logClock(state.scraper.redisClock, &state.clockDifferences)
        state.observers.snapshot(snapshot)
        // The names include those whose node does not answer, and those that the filter leaves out: they are not gone.
        if let names = state.scraper.allNames { state.observers.queueNames(names) }
        letters.withLock { $0.add([], present: snapshot.queues.map(\.name)) }
        let skipped = state.scraper.takeSkippedLetters()
        status.withLock { $0.skippedLetters += skipped }
        let hasNew = state.scraper.unreadLetters.values.contains { !$0.unread.isEmpty }
        if hasNew { state.due[.deadLetters] = start }
    }

    private func readDeadLetters(_ state: inout ThreadState, deadline: MonotonicTime) throws(RedisError) {
        guard state.client.isConnected, let queues = current.snapshot?.queues else { return }
        let (new, errors, failure) = state.deadLetters.read(
            &state.scraper.unreadLetters, state.client, noting: seenTasks, deadline: deadline)
        // Nodes that can't be reached are counted by the scrape.
        _ = state.client.takeNodeErrors()
        recordErrors(errors, of: .deadLetters)
        letters.withLock { $0.add(new, present: queues.map(\.name)) }
        if !new.isEmpty { state.observers.deadLetters(new) }
        if let failure { throw failure }
    }

    private func sampleQueues(_ state: inout ThreadState, deadline: MonotonicTime) throws(RedisError) {
        let client = state.client
        guard client.isConnected, current.snapshot != nil, let names = state.scraper.lastNames() else { return }
        state.lookAhead?.clockCorrection = state.scraper.redisClock.correction
        let servers = Array(state.scraper.lastServers.keys)
        let samples =
            try state.lookAhead?.sampleQueues(client, names: names, servers: servers, deadline: deadline) ?? []
        let lost = state.lookAhead?.lost ?? [:]
        status.withLock { $0.lostTasks = lost }
        // Nodes that can't be reached are counted by the scrape.
        _ = client.takeNodeErrors()
        recordErrors(state.lookAhead?.errors ?? [], of: .lookAhead)
        state.observers.waits(samples)
    }

    private func sampleMemory(_ state: inout ThreadState, deadline: MonotonicTime) throws(RedisError) {
        guard state.client.isConnected, let queues = current.snapshot?.queues else {
            // Memory is sampled soon after the scrape that connects.
            state.due[.memorySampling] = clock.monotonic().advanced(by: Self.maxBackoff)
            return
        }
        let sample = try MemorySampler.sample(state.client, queues, deadline: deadline)
        status.withLock { $0.recordMemory(sample.bytes) }
        recordErrors(sample.errors, of: .memorySampling)
    }

    /// Answers the inquiries. A failure of the connection answers all that wait; a refusal answers its own question
    /// only.
    private func answerInquiries(_ state: inout ThreadState, deadline: MonotonicTime) throws(RedisError) {
        let waiting = inquiries.withLock { $0.takeAll() }
        var failure: RedisError?
        for inquiry in waiting {
            guard failure == nil, state.client.isConnected, current.snapshot != nil else {
                let reason = failure?.message ?? current.lastError ?? "Redis can't be asked"
                inquiry.refuse(.unavailable(reason))
                continue
            }
            do throws(RedisError) {
                try answer(inquiry, &state, deadline: deadline)
                recordErrors([], of: .inquiries)
            } catch {
                inquiry.refuse(.unavailable(error.message))
                if state.client.isConnected { recordErrors([error], of: .inquiries) } else { failure = error }
            }
            // Nodes that can't be reached are counted by the scrape.
            _ = state.client.takeNodeErrors()
        }
        if let failure { throw failure }
    }

    private func answer(
        _ inquiry: RedisInquiry, _ state: inout ThreadState, deadline: MonotonicTime
    ) throws(RedisError) {
        switch inquiry {
        case .task(let task, let whenDone):
            guard state.scraper.accepts(task.queue),
                var details = try TaskReader.read(task, state.client, names: seenTasks.names, deadline: deadline)
            else { return whenDone(.answer(nil)) }
            state.scraper.addWorker(to: &details)
            whenDone(.answer(details))
        case .dueRetries(let queue, let whenDone):
            let retries =
                state.scraper.accepts(queue)
                ? try RetryReader.read(queue, state.client, names: seenTasks.names, deadline: deadline) : []
            let now = clock.monotonic()
            inquiries.withLock { $0.keep(retries, of: queue, at: now) }
            whenDone(.answer(retries))
        case .search(let id, let whenDone):
            let names = state.scraper.lastNames() ?? []
            whenDone(.answer(try TaskSearcher.search(id: id, in: names, state.client, deadline: deadline)))
        }
    }

    // MARK: What it found

    private func recordSuccess(_ snapshot: RedisSnapshot, seconds: Double) {
        let now = clock.monotonic()
        let isOver = status.withLock { status in
            status.lastError = nil
            status.attempts += 1
            status.snapshot = snapshot
            status.recordMemory(status.memoryBytes)
            status.lastDurationSeconds = seconds
            status.lastSuccess = snapshot.takenAt
            for reason in snapshot.partialErrors { status.errors[reason, default: 0] += 1 }
            return status.failures.recordEnd(at: now)
        }
        logNews(snapshot.errorMessages, of: .scrape)
        if isOver { logger.notice("Redis answers again", metadata: ["redis": "\(options.target.description)"]) }
    }

    /// Records errors. Those of one cause, which the message tells, are one error, however many queues it hit.
    private func recordErrors(_ errors: [RedisError], of work: RedisWork) {
        let causes = Dictionary(errors.map { ($0.message, $0.reason) }) { first, _ in first }
        if !causes.isEmpty {
            status.withLock { status in
                for reason in causes.values { status.errors[reason, default: 0] += 1 }
            }
        }
        logNews(RedisSnapshot.messages(of: errors), of: work)
    }

    /// Logs messages, once for each cause.
    private func logNews(_ messages: [String], of work: RedisWork) {
        let now = clock.monotonic()
        let (news, isOver) = status.withLock { status in
            var log = status.partialFailures[work] ?? CauseLog()
            defer { status.partialFailures[work] = log }
            return (messages.compactMap { log.take($0, at: now) }, messages.isEmpty && log.recordEnd(at: now))
        }
        for (text, more) in news {
            logger.warning(
                "a part of the \(work.rawValue) failed",
                metadata: ["error": "\(text)", "more_since_last_line": "\(more)"])
        }
        if isOver { logger.notice("the \(work.rawValue) is complete again") }
    }

    /// Logs that the clocks differ, once when they begin to and once when they agree again.
    private func logClock(_ redisClock: RedisClock, _ differences: inout CauseLog) {
        guard let offset = redisClock.offset else { return }
        let now = clock.monotonic()
        let metadata: Logger.Metadata = ["redis_minus_ours_seconds": "\(offset.inSeconds)"]
        if redisClock.isOff {
            guard differences.take("the clocks differ", at: now) != nil else { return }
            logger.warning(
                "the clocks of Redis and of this machine differ: set them (NTP); servers and tasks are judged by Redis' clock",
                metadata: metadata)
        } else if differences.recordEnd(at: now) {
            logger.notice("the clocks of Redis and of this machine agree again", metadata: metadata)
        }
    }

    private func recordFailure(_ error: RedisError, seconds: Double) {
        let now = clock.monotonic()
        let news = status.withLock { status in
            status.lastError = error.message
            status.attempts += 1
            status.snapshot = nil
            status.lastDurationSeconds = seconds
            status.errors[error.reason, default: 0] += 1
            return status.failures.take(error.message, at: now)
        }
        // A cause is logged once, not for each scrape.
        guard let (text, more) = news else { return }
        logger.warning(
            "Redis scrape failed",
            metadata: [
                "reason": "\(error.reason.rawValue)", "error": "\(text)", "more_since_last_line": "\(more)",
            ])
    }
}
