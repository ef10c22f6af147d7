package import Logging
package import Model
package import Platform
import Synchronization

package struct RedisMonitorOptions: Sendable {
    package var target: RedisTarget
    package var intervalNanoseconds: UInt64
    /// The budget of one whole scrape, connecting included.
    package var timeoutNanoseconds: UInt64
    package var filter: QueueFilter

    package init(
        target: RedisTarget, intervalNanoseconds: UInt64, timeoutNanoseconds: UInt64, filter: QueueFilter = .all
    ) {
        self.target = target
        self.intervalNanoseconds = intervalNanoseconds
        self.timeoutNanoseconds = timeoutNanoseconds
        self.filter = filter
    }
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
    /// What the last good scrape could not read.
    var partialMessages: [String] = []

    package init() {}
}

/// Scrapes Redis at an interval, on a thread of its own, one scrape at a time, over one connection that is renewed after
/// a failure.
package final class RedisMonitor: Sendable {
    /// Between two tries while Redis is away, unless the interval is longer.
    private static let maxBackoffNanoseconds: UInt64 = 2_000_000_000

    private let options: RedisMonitorOptions
    private let clock: Clock
    private let logger: Logger
    private let status = Mutex(RedisStatus())
    private let waker: Waker
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<OSThread?> = Mutex(nil)

    package init(_ options: RedisMonitorOptions, clock: Clock, logger: Logger) throws(SystemError) {
        self.options = options
        self.clock = clock
        self.logger = logger
        waker = try Waker()
    }

    package var current: RedisStatus {
        status.withLock { $0 }
    }

    package func start() throws(SystemError) {
        let started = try OSThread(name: "redis") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Tells the thread to end; a scrape that is under way is given up.
    package func beginStop() {
        isStopping.store(true, ordering: .releasing)
        waker.wake()
    }

    /// Waits for the end of the thread until the deadline; a name server that hangs may hold it longer.
    package func awaitStop(until deadline: MonotonicTime) {
        thread.withLock { $0 }?.join(until: deadline, clock: clock)
    }

    private func run() {
        var scraper = QueueScraper(filter: options.filter, clock: clock)
        let client = options.target.makeClient(clock: clock, interrupt: waker)
        var backoff = ReconnectBackoff(maxNanoseconds: Self.maxBackoffNanoseconds)
        while !isStopping.load(ordering: .acquiring) {
            let start = clock.monotonic()
            if scrape(&scraper, client, at: start) { backoff.noteSuccess() } else { backoff.noteFailure(at: clock.monotonic()) }
            // Counted from the start, so that the pace does not depend on how long a scrape takes.
            let next = max(start.advanced(byNanoseconds: options.intervalNanoseconds), backoff.nextAttempt)
            waker.sleep(until: next, clock: clock)
        }
    }

    private func scrape(_ scraper: inout QueueScraper, _ client: any RedisClient, at start: MonotonicTime) -> Bool {
        let deadline = start.advanced(byNanoseconds: options.timeoutNanoseconds)
        do throws(RedisError) {
            try client.prepare(deadline: deadline)
            let snapshot = try scraper.scrape(client, deadline: deadline)
            note(snapshot, seconds: clock.monotonic().seconds(since: start))
            return true
        } catch {
            if !isStopping.load(ordering: .acquiring) { note(error, seconds: clock.monotonic().seconds(since: start)) }
            return false
        }
    }

    private func note(_ snapshot: RedisSnapshot, seconds: Double) {
        let (wasDown, old) = status.withLock { status in
            defer {
                status.lastError = nil
                status.partialMessages = snapshot.errorMessages
            }
            status.attempts += 1
            status.snapshot = snapshot
            status.lastDurationSeconds = seconds
            status.lastSuccess = snapshot.takenAt
            for reason in snapshot.partialErrors { status.errors[reason, default: 0] += 1 }
            return (status.lastError != nil, status.partialMessages)
        }
        // Once per cause, not per scrape.
        for message in snapshot.errorMessages where !old.contains(message) {
            logger.warning("a part of the scrape failed", metadata: ["error": "\(message)"])
        }
        if wasDown { logger.notice("Redis answers again", metadata: ["redis": "\(options.target.description)"]) }
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
            logger.warning("Redis scrape failed", metadata: ["reason": "\(error.reason.rawValue)", "error": "\(error.message)"])
        }
    }
}
