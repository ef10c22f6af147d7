import Logging
import Model
import Platform

/// Tells the service manager, where there is one. The newest state that its socket has not taken is sent again until it is: without
/// READY=1 a start is taken for a failed one. A failure is worth a line for each cause.
struct ServiceNotifier {
    private static let pause = Duration.seconds(1)

    private let manager: ServiceManager?
    private let clock: Clock
    private let logger: Logger
    private var failures = CauseLog()
    /// The newest state that was not taken, and the time of its next try; nil where all was taken.
    private var undelivered: (state: ServiceManager.State, next: MonotonicTime)?

    init(_ manager: ServiceManager?, clock: Clock, logger: Logger) {
        self.manager = manager
        self.clock = clock
        self.logger = logger
    }

    /// The time of the next try; nil where there is nothing to send again.
    var next: MonotonicTime? { undelivered?.next }

    /// Sends the start, a reload or the end; `sendAgainIfDue` tries again where that fails.
    mutating func send(_ state: ServiceManager.State) {
        undelivered = deliver(state) ? nil : (state, clock.monotonic().advanced(by: Self.pause))
    }

    mutating func sendAgainIfDue(at now: MonotonicTime) {
        if let (state, next) = undelivered, now >= next { send(state) }
    }

    /// Sends a sign of life, which is not tried again: the next one follows.
    mutating func sendSignOfLife() {
        _ = deliver(.watchdog)
    }

    /// Returns true if it was taken.
    private mutating func deliver(_ state: ServiceManager.State) -> Bool {
        guard let manager else { return true }
        let now = clock.monotonic()
        do throws(SystemError) {
            try manager.send(state)
            if failures.recordEnd(at: now) { logger.notice("the service manager is notified again") }
            return true
        } catch {
            if let (text, more) = failures.take("\(error)", at: now) {
                logger.warning(
                    "can't notify the service manager",
                    metadata: ["error": "\(text)", "more_since_last_line": "\(more)"])
            }
            return false
        }
    }
}
