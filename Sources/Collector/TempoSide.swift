import Forwarder
import Logging
import Model
import Platform
import SpanReceiver
import Spool

/// What is there only where `tempo.endpoint` names a trace backend: the spool, and what sends from it.
struct TempoSide: Sendable {
    let spool: Spool
    let forwarder: Forwarder
    /// Writes to the spool.
    let appends: AppendThread
    private let lock: SpoolDirectoryLock
    private let spoolLogger: Logger

    /// Opens the spool.
    ///
    /// - Throws: why its directory can't be used, in words that say what to change.
    init(
        _ forward: ForwarderOptions, _ options: CollectorOptions, clock: Clock, makeLogger: (String) -> Logger
    ) throws(SpoolStartError) {
        appends = AppendThread(maxWaitingBytes: options.memory[.requests] / 3)
        let opened = try OpenedSpool(directory: options.spoolDirectory, options: options.spool, clock: clock)
        lock = opened.lock
        spool = opened.spool
        spoolLogger = makeLogger("spool")
        if let weakness = opened.weakness {
            spoolLogger.warning(
                "other users may write to spool.directory, and what they put there passes for spans; let only this user",
                metadata: ["directory": "\(options.spoolDirectory)", "problem": "\(weakness)"])
        }
        forwarder = Forwarder(spool: spool, options: forward, clock: clock, logger: makeLogger("forwarder"))
    }

    /// - Throws: where the system has no room for a thread.
    func start() throws {
        try spool.start { [spoolLogger] in spoolLogger.note($0) }
        try forwarder.start()
        try appends.start()
    }

    /// Appends what waits, sends until the deadline, then syncs the spool.
    func stop(drainUntil deadline: MonotonicTime) {
        appends.stop(until: deadline)
        forwarder.stop(drainUntil: deadline)
        spool.close()
    }

    /// What the forwarder is doing, for people.
    var forwarderState: String {
        let statistics = forwarder.statistics
        if let failure = statistics.lastFailure { return "retrying: \(failure)" }
        return statistics.isBackendUp == nil ? "nothing sent yet" : "up"
    }
}
