import Logging
import Model
import Platform

/// Tells the service manager that the program is alive, as often as it wants to hear so, and as long as all that users
/// depend on moves. It waits for signals meanwhile, and has what the service manager has not taken sent again.
struct Watchdog {
    var notifier: ServiceNotifier
    private let signs: LifeSigns
    private let clock: Clock
    private let logger: Logger
    /// The time between two looks; nil where nothing watches.
    private let pause: Duration?
    private var next: MonotonicTime
    private var missing: [String] = []

    /// - Parameter interval: The silence after which the service manager restarts the program.
    init(_ notifier: ServiceNotifier, interval: Duration?, signs: LifeSigns, clock: Clock, logger: Logger) {
        self.notifier = notifier
        self.signs = signs
        self.clock = clock
        self.logger = logger
        // A sign that one check asks for is there for the next ones, and the program is heard of twice in an interval.
        pause = interval.map { $0 / 4 }
        next = clock.monotonic()
    }

    /// Waits for the next signal, and looks meanwhile, however often signals come. Returns nil when the deadline has
    /// passed.
    mutating func awaitSignal(_ signals: ProgramSignals, until deadline: MonotonicTime? = nil) -> Int32? {
        while true {
            let now = clock.monotonic()
            if let deadline, now >= deadline { return nil }
            notifier.sendAgainIfDue(at: now)
            lookIfDue(at: now)
            let wake = [deadline, notifier.next, pause == nil ? nil : next].compactMap(\.self).min()
            if let signal = signals.wait(timeout: wake.map { $0.duration(since: now) }) { return signal }
        }
    }

    private mutating func lookIfDue(at now: MonotonicTime) {
        guard let pause, now >= next else { return }
        next = now.advanced(by: pause)
        let found = signs.missing(at: now, patience: pause * 2)
        if !found.isEmpty && found != missing {
            logger.error(
                "a part of the program does not move; the service manager is not told that it is alive",
                metadata: ["parts": "\(found.joined(separator: ", "))"])
        }
        missing = found
        if found.isEmpty { notifier.sendSignOfLife() }
    }
}
