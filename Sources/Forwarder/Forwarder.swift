package import Logging
package import Metrics
package import Model
package import OTLPClient
package import Platform
package import Spool
import Synchronization

/// Upper bounds for the time of a request, in seconds.
private let requestSecondsBounds = HistogramBounds(ascending: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

/// The counters of the forwarder, at one moment.
package struct ForwarderStatistics: Sendable {
    package var requests: [String: UInt64] = [:]
    /// The seconds per request.
    package var durations = Histogram(requestSecondsBounds)
    /// True if the backend works; nil before the first answer.
    package var isBackendUp: Bool?
    package var lastFailure: String?
    /// The endpoint of the last request; nil where the options name it.
    package var endpoint: OTLPEndpoint?
    /// The number of refused requests, by the fate of the copy that is kept for people to look at.
    package var copies: [RefusedCopy: UInt64] = [:]
    /// The bytes of the bodies of requests in flight.
    package var heldBytes = 0
}

/// Sends the content of the spool to the trace backend, on a thread of its own. A batch leaves the spool only when the
/// backend has accepted or rejected it. Everything else is retried for as long as it takes.
package final class Forwarder: Sendable {
    struct Control {
        var isStopping = false
        var drainDeadline = MonotonicTime(nanoseconds: 0)
        var statistics = ForwarderStatistics()
    }

    let options: ForwarderOptions
    let spool: Spool
    let clock: Clock
    let logger: Logger
    let control = Mutex(Control())
    let multi: CurlMulti
    private let thread: Mutex<OSThread?> = Mutex(nil)
    /// The appends that wake the thread, as the thread has set it before it went to sleep.
    let wakeRule = Atomic<WakeRule>(.never)
    package let heartbeat = Heartbeat()

    package init(spool: Spool, options: ForwarderOptions, clock: Clock, logger: Logger) {
        self.spool = spool
        self.options = options
        self.clock = clock
        self.logger = logger
        multi = CurlMulti()
    }

    /// Starts the thread.
    /// - Throws: `SystemError` where the system can't start another thread.
    package func start() throws(SystemError) {
        let started = try OSThread(name: "forwarder") { [self] in
            var loop = ForwarderLoop(self)
            loop.run()
        }
        thread.withLock { $0 = started }
    }

    /// Wakes the thread if that is what it waits for; cheap when not. It is called after each append. Returns true if
    /// the thread was woken.
    @discardableResult
    package func recordAppend() -> Bool {
        guard isMet(wakeRule.load(ordering: .acquiring)),
            wakeRule.exchange(.never, ordering: .acquiringAndReleasing) != .never
        else { return false }
        multi.wake()
        return true
    }

    /// Sleeps until something happens on a connection, an append meets the rule, or the time is over.
    func sleep(milliseconds: Int32, wakingOn rule: WakeRule) {
        wakeRule.store(rule, ordering: .sequentiallyConsistent)
        heartbeat.promise(by: clock.monotonic().advanced(by: .milliseconds(Int64(milliseconds))))
        // An append between the check of the spool and the store wakes nothing, so the rule is tried here.
        multi.wait(milliseconds: isMet(rule) ? 0 : milliseconds)
        wakeRule.store(.never, ordering: .releasing)
    }

    private func isMet(_ rule: WakeRule) -> Bool {
        rule != .never && rule.isMet(by: spool.unread, options)
    }

    /// Sends the rest until all is sent or the deadline has passed, then ends the thread. What is left then stays in
    /// the spool.
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
}
