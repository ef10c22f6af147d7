import AsynqRedis
import Logging
import SpanReceiver
import Spool

/// The values that a running collector takes over at SIGHUP, each from a key that is reloadable.
struct ReloadableOptions: Sendable {
    var logLevel: Logger.Level
    var queueFilter: QueueFilter
    var maxBodyBytes: Int
    var maxTaskTypes: Int
    var maxQueues: Int
    var maxErrorTypes: Int
    /// The bounds of the spool in bytes and age, and its way of being full.
    var spool: SpoolOptions
}

extension ReloadableOptions {
    init(_ settings: Settings) {
        self.init(
            logLevel: settings[\.log.level],
            queueFilter: QueueFilter(settings),
            maxBodyBytes: settings[\.otlp.maxBody],
            maxTaskTypes: settings[\.metrics.taskTypes],
            maxQueues: settings[\.metrics.queuesMax],
            maxErrorTypes: settings[\.metrics.errorTypes],
            spool: SpoolOptions(settings))
    }
}

/// The changes that a configuration brings which was read again.
struct Reload: Sendable {
    let options: ReloadableOptions
    /// The names of keys whose change takes effect at the next start only.
    let keysForNextStart: [String]

    /// - Parameters:
    ///   - started: The settings that the collector was started with.
    ///   - new: The settings that are in the sources now.
    /// - Throws: `ConfigurationProblems` of the new settings; then nothing may be changed.
    init(started: Settings, new: Settings) throws(ConfigurationProblems) {
        try new.check()
        options = ReloadableOptions(new)
        // The content of a secret's file is in force already, for the next connection.
        func isUsedAnew(_ key: any DeclaredKey) -> Bool {
            started.file(of: key).map { $0 == new.file(of: key) } ?? false
        }
        // The shares of memory stay as they were at the start, and a larger body has to wait for others.
        let isBodyTooLarge = try new[\.otlp.maxBody] > MemoryLedger(started).largestBody
        keysForNextStart = KeyTable.all.filter { key in
            if key.isReloadable && !(isBodyTooLarge && key.name == KeyTable.shared.otlp.maxBody.name) { return false }
            return !isUsedAnew(key) && started.text(of: key) != new.text(of: key)
        }.map(\.name)
    }
}

/// The parts of a running collector that a reload reaches.
struct ReloadTargets: Sendable {
    let logLevel: CollectorLogHandler.Level
    let bodyLimit: BodyLimit
    /// The largest request that the shares of memory allow, which stay as they were at the start.
    let largestBody: Int
    let aggregator: LockedAggregator
    let spool: Spool?
    let setQueueFilter: @Sendable (QueueFilter) -> Void

    /// Puts the values in force; no count is lost.
    func apply(_ options: ReloadableOptions) {
        logLevel.current = options.logLevel
        setQueueFilter(options.queueFilter)
        bodyLimit.bytes = min(options.maxBodyBytes, largestBody)
        aggregator.setLimits(
            maxTaskTypes: options.maxTaskTypes, maxQueues: options.maxQueues, maxErrorTypes: options.maxErrorTypes)
        spool?.use(options.spool)
    }
}
