package import Logging
package import Model
package import Platform
package import Redis
import Synchronization

package struct RedisMonitorOptions: Sendable {
    package var target: RedisTarget
    package var intervalNanoseconds: UInt64
    /// The budget of one whole scrape, connecting included.
    package var timeoutNanoseconds: UInt64
    package var filter: QueueFilter
    /// nil = off.
    package var lookAhead: LookAheadOptions?
    /// Between two samplings of MEMORY USAGE; nil = off.
    package var memoryIntervalNanoseconds: UInt64?
    /// Where tasks carry their trace context.
    package var contextKeys = TaskContextKeys()

    package init(
        target: RedisTarget, intervalNanoseconds: UInt64, timeoutNanoseconds: UInt64, filter: QueueFilter = .all
    ) {
        self.target = target
        self.intervalNanoseconds = intervalNanoseconds
        self.timeoutNanoseconds = timeoutNanoseconds
        self.filter = filter
    }
}

package struct LookAheadOptions: Sendable, Equatable {
    /// Next tasks of each queue that are looked at.
    package var count: Int
    package var intervalNanoseconds: UInt64

    package init(count: Int, intervalNanoseconds: UInt64) {
        self.count = count
        self.intervalNanoseconds = intervalNanoseconds
    }
}

/// Takes the waits that the look-ahead observes; called on the Redis thread.
package protocol WaitSampleSink: Sendable {
    func observe(_ samples: [WaitSample])
}

/// Takes the tasks that die while we look, each once; called on the Redis thread.
package protocol DeadLetterSink: Sendable {
    func take(_ letters: [DeadLetter])
}

/// Takes the queues that a good scrape saw and the filter accepts; called on the Redis thread.
package protocol QueueNameSink: Sendable {
    func use(_ names: [QueueName])
}

/// What the monitor's thread does, each at its own pace.
enum RedisWork: String, CaseIterable {
    case scrape, look
    case memorySampling = "memory sampling"
    case deadLetters = "reading of dead letters"
}

/// What is known of Redis now.
package struct RedisStatus: Sendable {
    /// nil where the last scrape failed: old numbers are not shown as if they were new.
    package var snapshot: RedisSnapshot?
    package var lastError: String?
    /// Scrapes tried so far, failed ones included.
    package var attempts: UInt64 = 0
    package var lastDurationSeconds: Double?
    /// When the last good scrape was taken.
    package var lastSuccess: WallTime?
    package var errors: [ScrapeErrorReason: UInt64] = [:]
    /// Tasks that the look-ahead lost sight of.
    package var lostTasks: [LostTaskReason: UInt64] = [:]
    /// Arrivals in archives that came too fast for their messages to be read.
    package var skippedLetters: UInt64 = 0
    /// Of the last sampling.
    var memoryBytes: [QueueName: Int64] = [:]
    /// What the last piece of work of each kind could not read, for the log.
    var partialMessages: [RedisWork: [String]] = [:]

    package init() {}
}

/// Asks Redis at intervals, on a thread of its own, one thing at a time: the scrape, the look ahead, and the sampling of
/// memory. Only the scrape connects; the others wait for it while Redis is away.
package final class RedisMonitor: Sendable {
    /// Between two tries while Redis is away.
    private static let maxBackoffNanoseconds: UInt64 = 2_000_000_000

    private let options: RedisMonitorOptions
    private let clock: Clock
    private let logger: Logger
    private let waits: any WaitSampleSink
    private let onSnapshot: @Sendable (RedisSnapshot) -> Void
    /// What it sees of tasks, for those that take spans.
    package let seenTasks: SeenTasks
    private let status = Mutex(RedisStatus())
    private let shelf = Mutex(DeadLetterShelf())
    private let deadLetterSink = Mutex<(any DeadLetterSink)?>(nil)
    private let queueNameSink = Mutex<(any QueueNameSink)?>(nil)
    /// Set from outside, taken over before the next scrape.
    private let newFilter = Mutex<QueueFilter?>(nil)
    private let waker: Waker
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// `onSnapshot` gets what each good scrape saw, on the Redis thread.
    package init(
        _ options: RedisMonitorOptions, clock: Clock, logger: Logger, waits: any WaitSampleSink,
        onSnapshot: @escaping @Sendable (RedisSnapshot) -> Void = { _ in }
    ) throws(SystemError) {
        self.options = options
        self.clock = clock
        self.logger = logger
        self.waits = waits
        self.onSnapshot = onSnapshot
        seenTasks = SeenTasks(keys: options.contextKeys)
        waker = try Waker()
    }

    package var current: RedisStatus {
        status.withLock { $0 }
    }

    /// The newest dead letters of each queue, newest first.
    package var newestDeadLetters: [DeadLetter] { shelf.withLock { $0.newest } }

    /// Before `start`.
    package func report(to sink: any DeadLetterSink) {
        deadLetterSink.withLock { $0 = sink }
    }

    /// Before `start`.
    package func report(queuesTo sink: any QueueNameSink) {
        queueNameSink.withLock { $0 = sink }
    }

    package func start() throws(SystemError) {
        let started = try OSThread(name: "redis") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// From the next scrape on. Counters of queues that stay go on.
    package func use(_ filter: QueueFilter) {
        newFilter.withLock { $0 = filter }
    }

    /// Tells the thread to end; a scrape that is under way is given up.
    package func beginStop() {
        isStopping.store(true, ordering: .releasing)
        waker.wake()
    }

    /// Waits for the end of the thread until the deadline.
    package func awaitStop(until deadline: MonotonicTime) {
        thread.withLock { $0 }?.join(until: deadline)
    }

    // MARK: The thread

    /// What the thread has in hand.
    private struct Desk {
        var scraper: QueueScraper
        var lookAhead: LookAhead?
        var deadLetters = DeadLetterReader()
        let client: any RedisClient
        var backoff = ReconnectBackoff(maxNanoseconds: maxBackoffNanoseconds)
        var due: [RedisWork: MonotonicTime] = [:]
    }

    private func run() {
        var desk = Desk(
            scraper: QueueScraper(filter: options.filter, clock: clock),
            client: options.target.makeClient(clock: clock, interrupt: waker))
        desk.due[.scrape] = clock.monotonic()
        if let look = options.lookAhead {
            desk.lookAhead = LookAhead(
                count: look.count, intervalNanoseconds: look.intervalNanoseconds, clock: clock, tasks: seenTasks)
            desk.due[.look] = clock.monotonic()
        }
        if options.memoryIntervalNanoseconds != nil { desk.due[.memorySampling] = clock.monotonic() }
        while !isStopping.load(ordering: .acquiring) {
            for work in RedisWork.allCases {
                let start = clock.monotonic()
                guard let due = desk.due[work], due <= start, !isStopping.load(ordering: .acquiring) else { continue }
                // Counted from the start, so that the pace does not depend on how long the work takes.
                desk.due[work] = start.advanced(byNanoseconds: interval(of: work))
                perform(work, &desk, at: start)
            }
            waker.sleep(until: desk.due.values.min(), clock: clock)
        }
    }

    private func interval(of work: RedisWork) -> UInt64 {
        switch work {
        case .scrape: options.intervalNanoseconds
        case .look: options.lookAhead?.intervalNanoseconds ?? .max
        case .memorySampling: options.memoryIntervalNanoseconds ?? .max
        // When a scrape has found some.
        case .deadLetters: .max
        }
    }

    private func perform(_ work: RedisWork, _ desk: inout Desk, at start: MonotonicTime) {
        let deadline = start.advanced(byNanoseconds: options.timeoutNanoseconds)
        do throws(RedisError) {
            switch work {
            case .scrape:
                try scrape(&desk, at: start, deadline: deadline)
                desk.backoff.noteSuccess()
            case .look: try look(&desk, deadline: deadline)
            case .memorySampling: try sampleMemory(&desk, deadline: deadline)
            case .deadLetters: try readDeadLetters(&desk, deadline: deadline)
            }
        } catch {
            if isStopping.load(ordering: .acquiring) { return }
            if work == .scrape {
                desk.backoff.noteFailure(at: clock.monotonic())
                desk.due[.scrape] = desk.backoff.nextAttempt
                note(error, seconds: clock.monotonic().seconds(since: start))
            } else {
                if work == .memorySampling { status.withLock { $0.noteMemory([:]) } }
                note([error], of: work)
            }
        }
    }

    private func scrape(_ desk: inout Desk, at start: MonotonicTime, deadline: MonotonicTime) throws(RedisError) {
        if let filter = newFilter.withLock({ $0.take() }) { desk.scraper.use(filter) }
        try desk.client.prepare(deadline: deadline)
        let snapshot = try desk.scraper.scrape(desk.client, deadline: deadline)
        note(snapshot, seconds: clock.monotonic().seconds(since: start))
        // Those whose node does not answer included: they are not gone.
        if let names = desk.scraper.lastNames() { queueNameSink.withLock { $0 }?.use(names) }
        shelf.withLock { $0.add([], present: snapshot.queues.map(\.name)) }
        let skipped = desk.scraper.takeSkippedLetters()
        status.withLock { $0.skippedLetters += skipped }
        let hasNew = desk.scraper.unreadLetters.values.contains { !$0.unread.isEmpty }
        if hasNew { desk.due[.deadLetters] = start }
    }

    private func readDeadLetters(_ desk: inout Desk, deadline: MonotonicTime) throws(RedisError) {
        guard desk.client.isConnected, let queues = current.snapshot?.queues else { return }
        let (letters, errors, failure) = desk.deadLetters.read(
            &desk.scraper.unreadLetters, desk.client, noting: seenTasks, deadline: deadline)
        // Nodes that can't be reached are counted by the scrape.
        _ = desk.client.takeNodeErrors()
        note(errors, of: .deadLetters)
        shelf.withLock { $0.add(letters, present: queues.map(\.name)) }
        let arrivals = letters.filter(\.isArrival)
        if !arrivals.isEmpty { deadLetterSink.withLock { $0 }?.take(arrivals) }
        if let failure { throw failure }
    }

    private func look(_ desk: inout Desk, deadline: MonotonicTime) throws(RedisError) {
        let client = desk.client
        guard client.isConnected, let names = desk.scraper.lastNames() else { return }
        let servers = Array(desk.scraper.lastServers.keys)
        let samples = try desk.lookAhead?.look(client, names: names, servers: servers, deadline: deadline) ?? []
        let lost = desk.lookAhead?.lost ?? [:]
        status.withLock { $0.lostTasks = lost }
        // Nodes that can't be reached are counted by the scrape.
        _ = client.takeNodeErrors()
        note(desk.lookAhead?.errors ?? [], of: .look)
        waits.observe(samples)
    }

    private func sampleMemory(_ desk: inout Desk, deadline: MonotonicTime) throws(RedisError) {
        guard desk.client.isConnected, let queues = current.snapshot?.queues else {
            // Soon after the scrape that connects.
            desk.due[.memorySampling] = clock.monotonic().advanced(byNanoseconds: Self.maxBackoffNanoseconds)
            return
        }
        let sample = try MemorySampler.sample(desk.client, queues, deadline: deadline)
        status.withLock { $0.noteMemory(sample.bytes) }
        note(sample.errors, of: .memorySampling)
    }

    // MARK: What it found

    private func note(_ snapshot: RedisSnapshot, seconds: Double) {
        let wasDown = status.withLock { status in
            defer { status.lastError = nil }
            status.attempts += 1
            status.snapshot = snapshot
            status.noteMemory(status.memoryBytes)
            status.lastDurationSeconds = seconds
            status.lastSuccess = snapshot.takenAt
            for reason in snapshot.partialErrors { status.errors[reason, default: 0] += 1 }
            return status.lastError != nil
        }
        onSnapshot(snapshot)
        logNews(snapshot.errorMessages, of: .scrape)
        if wasDown { logger.notice("Redis answers again", metadata: ["redis": "\(options.target.description)"]) }
    }

    private func note(_ errors: [RedisError], of work: RedisWork) {
        if !errors.isEmpty {
            status.withLock { status in
                for error in errors { status.errors[error.reason, default: 0] += 1 }
            }
        }
        logNews(RedisSnapshot.messages(of: errors), of: work)
    }

    /// Once per cause, not each time.
    private func logNews(_ messages: [String], of work: RedisWork) {
        let old = status.withLock { status in
            defer { status.partialMessages[work] = messages }
            return status.partialMessages[work] ?? []
        }
        for message in messages where !old.contains(message) {
            logger.warning("a part of the \(work.rawValue) failed", metadata: ["error": "\(message)"])
        }
        if !old.isEmpty && messages.isEmpty { logger.notice("the \(work.rawValue) is complete again") }
    }

    private func note(_ error: RedisError, seconds: Double) {
        let isNews = status.withLock { status in
            defer { status.lastError = error.message }
            status.attempts += 1
            status.snapshot = nil
            status.lastDurationSeconds = seconds
            status.errors[error.reason, default: 0] += 1
            return status.lastError != error.message
        }
        // Once per cause, not per scrape.
        if isNews {
            logger.warning(
                "Redis scrape failed", metadata: ["reason": "\(error.reason.rawValue)", "error": "\(error.message)"])
        }
    }
}

extension RedisStatus {
    /// Each queue has what the last sampling found; a queue that it could not read has nothing.
    fileprivate mutating func noteMemory(_ bytes: [QueueName: Int64]) {
        memoryBytes = bytes
        guard var found = snapshot?.queues else { return }
        for index in found.indices { found[index].memoryBytes = bytes[found[index].name] }
        snapshot?.queues = found
    }
}

extension RedisSnapshot {
    /// Messages about single keys that go to the log.
    private static let maxMessages = 10

    /// The first few, each once.
    static func messages(of errors: [RedisError]) -> [String] {
        Array(Set(errors.map(\.message)).sorted().prefix(maxMessages))
    }
}
