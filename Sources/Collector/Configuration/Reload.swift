import AsynqRedis
import HTTPService
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

    /// Bytes of OTLP requests that are being received, over all connections: one of the largest has to find room.
    static func bodiesInFlightBytes(maxBodyBytes: Int) -> Int { max(64 << 20, maxBodyBytes + 1024) }
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
        keysForNextStart = KeyTable.all.filter {
            !$0.isReloadable && !isUsedAnew($0) && started.text(of: $0) != new.text(of: $0)
        }.map(\.name)
    }
}

/// The parts of a running collector that a reload reaches.
struct ReloadTargets: Sendable {
    let logLevel: CollectorLogHandler.Level
    let bodyLimit: BodyLimit
    let otlpLimits: HTTPLimits
    let aggregator: LockedAggregator
    let spool: Spool?
    let setQueueFilter: @Sendable (QueueFilter) -> Void

    /// Puts the values in force; nothing counted is lost.
    func apply(_ options: ReloadableOptions) {
        logLevel.current = options.logLevel
        setQueueFilter(options.queueFilter)
        bodyLimit.bytes = options.maxBodyBytes
        otlpLimits.use(
            maxBodyBytes: ReloadableOptions.bodiesInFlightBytes(maxBodyBytes: options.maxBodyBytes))
        aggregator.setLimits(
            maxTaskTypes: options.maxTaskTypes, maxQueues: options.maxQueues, maxErrorTypes: options.maxErrorTypes)
        spool?.use(options.spool)
    }
}
