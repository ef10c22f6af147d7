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
    /// The bounds in bytes and age, and what happens when it is full.
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

/// What a configuration that was read again changes.
struct Reload: Sendable {
    let options: ReloadableOptions
    /// Names of keys whose change takes effect at the next start only.
    let keysForNextStart: [String]

    /// - Parameters:
    ///   - started: the settings that the collector was started with.
    ///   - new: those that are in the sources now.
    /// - Throws: the problems of the new settings; then nothing is to be changed.
    init(started: Settings, new: Settings) throws(ConfigurationProblems) {
        try new.check()
        options = ReloadableOptions(new)
        // What a file of a secret holds is in force already, for the next connection.
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

    /// Puts the values in force; nothing counted is lost.
    func apply(_ options: ReloadableOptions) {
        logLevel.current = options.logLevel
        setQueueFilter(options.queueFilter)
        bodyLimit.bytes = min(options.maxBodyBytes, largestBody)
        aggregator.setLimits(
            maxTaskTypes: options.maxTaskTypes, maxQueues: options.maxQueues, maxErrorTypes: options.maxErrorTypes)
        spool?.use(options.spool)
    }
}
