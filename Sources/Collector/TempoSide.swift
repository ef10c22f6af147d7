import Forwarder
import Logging
import Model
import Platform
import SpanReceiver
import Spool

/// The parts that exist only where `tempo.endpoint` names a trace backend: the spool, and the forwarder that sends from
/// it.
struct TempoSide: Sendable {
    let spool: Spool
    let forwarder: Forwarder
    /// The thread that writes to the spool.
    let appends: AppendThread
    private let lock: SpoolDirectoryLock
    private let spoolLogger: Logger

    /// Opens the spool.
    ///
    /// - Throws: The reason why its directory can't be used, in words that say what to change.
    init(
        _ forward: ForwarderOptions, _ options: CollectorOptions, clock: Clock, makeLogger: (String) -> Logger
    ) throws(SpoolStartError) {
        appends = AppendThread(maxWaitingBytes: options.memory[.requests] / 3, clock: clock)
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

    /// - Throws: The reason why a thread can't be started.
    func start() throws {
        try spool.start { [spoolLogger] in spoolLogger.log($0) }
        try forwarder.start()
        try appends.start()
    }

    /// Appends what waits, sends until the deadline, then syncs the spool.
    func stop(drainUntil deadline: MonotonicTime) {
        appends.stop(until: deadline)
        forwarder.stop(drainUntil: deadline)
        spool.close()
    }

    /// The work of the forwarder, in words for people.
    var forwarderState: String { forwarder.statistics.words }
}

extension ForwarderStatistics {
    /// What the forwarder does, in words for people.
    var words: String {
        if let failure = lastFailure { return "retrying: \(failure)" }
        return isBackendUp == nil ? "nothing sent yet" : "up"
    }
}
