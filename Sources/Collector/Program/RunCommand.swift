import AsynqRedis
import Glibc
import Logging
import Metrics
import Model
import NIOCore
import NIOPosix
import Platform
import Redis

/// `run`: the sidecar, until SIGTERM or SIGINT.
enum RunCommand {
    /// - Parameters:
    ///   - serviceManager: Is told of start, reload and end; nil where there is none.
    ///   - readSettings: Reads flags, environment and file again.
    static func run(
        _ options: CollectorOptions, _ settings: Settings, _ serviceManager: ServiceManager?,
        readSettings: () -> Settings
    ) -> Int32 {
        let signals = ProgramSignals()
        let level = CollectorLogHandler.Level(options.logLevel)
        let makeLogger = loggerFactory(options, level)
        let logger = makeLogger("main")
        do {
            let collector = try Collector(options, clock: .system, makeLogger: makeLogger)
            do {
                try collector.start()
            } catch {
                collector.stop(isStarted: false)
                throw error
            }
            var watchdog = Watchdog(
                ServiceNotifier(serviceManager, clock: .system, logger: logger),
                interval: serviceManager?.watchdogInterval, signs: collector.lifeSigns, clock: .system, logger: logger)
            watchdog.notifier.send(.ready)
            let ending = awaitEnd(signals, watchdog: &watchdog) {
                apply(readSettings(), started: settings, to: collector.reloadTargets(level), logger)
            }
            watchdog.notifier.send(.stopping(within: options.linger + Collector.shutdown * 2))
            linger(options.linger, after: ending, signals: signals, watchdog: &watchdog, logger: logger)
            let guardian = try EndGuard(after: Collector.shutdown + .seconds(2), logger)
            collector.stop()
            guardian.dismiss()
            return ExitCode.ok
        } catch {
            logger.error("can't start", metadata: ["error": "\(error)"])
            return ExitCode.failure
        }
    }

    /// Waits for the signal that ends the program; reloads meanwhile.
    static func awaitEnd(
        _ signals: ProgramSignals, watchdog: inout Watchdog, reload: () -> Void
    ) -> Int32 {
        while true {
            guard let signal = watchdog.awaitSignal(signals) else { continue }
            if signal != SIGHUP { return signal }
            watchdog.notifier.send(.reloading(now: Clock.system.monotonic()))
            reload()
            watchdog.notifier.send(.ready)
        }
    }

    /// Keeps listeners open for a while, for workers that are stopped after the collector; a second signal ends it.
    static func linger(
        _ linger: Duration, after signal: Int32, signals: ProgramSignals, watchdog: inout Watchdog, logger: Logger
    ) {
        guard linger > .zero else { return logger.notice("stopping", metadata: ["signal": "\(signal)"]) }
        logger.notice(
            "stopping after shutdown.linger; spans are still taken",
            metadata: ["signal": "\(signal)", "linger": "\(linger)"])
        let deadline = Clock.system.monotonic().advanced(by: linger)
        while let signal = watchdog.awaitSignal(signals, until: deadline) {
            if signal != SIGHUP { return }
        }
    }

    /// - Parameter sink: Takes the lines in the place of standard error.
    static func loggerFactory(
        _ options: CollectorOptions, _ level: CollectorLogHandler.Level, sink: (@Sendable (String) -> Void)? = nil
    ) -> (String) -> Logger {
        { label in
            Logger(label: label) { label in
                CollectorLogHandler(
                    label: label, level: level, format: options.logFormat, clock: .system, sink: sink)
            }
        }
    }

    static func apply(
        _ new: Settings, started: Settings, to targets: ReloadTargets, _ logger: Logger
    ) {
        do throws(ConfigurationProblems) {
            let reload = try Reload(started: started, new: new)
            targets.apply(reload.options)
            let applied = KeyTable.all.filter(\.isReloadable).map(\.name).joined(separator: ", ")
            logger.notice(
                "configuration read again; changes of other keys than these need a restart",
                metadata: ["keys": "\(applied)"])
            if !reload.keysForNextStart.isEmpty {
                logger.warning(
                    "the change of these keys takes effect at the next start",
                    metadata: ["keys": "\(reload.keysForNextStart.joined(separator: ", "))"])
            }
        } catch {
            let problems = error.list.map(\.description).joined(separator: "; ")
            logger.error("new configuration refused, the old one stays", metadata: ["problems": "\(problems)"])
        }
    }
}

/// `scrape`: one scrape of Redis, printed as a metrics page.
enum ScrapeCommand {
    static func run(_ options: CollectorOptions) -> Int32 {
        guard let redis = options.redis else {
            Program.printError("asynq-collector: redis.url is none; there is nothing to scrape")
            return ExitCode.usage
        }
        let clock = Clock.system
        let start = clock.monotonic()
        let deadline = start.advanced(by: redis.timeout)
        do throws(RedisError) {
            let client = redis.target.makeClient(clock: clock)
            try client.prepare(deadline: deadline)
            var scraper = QueueScraper(filter: redis.filter, clock: clock)
            var snapshot = try scraper.scrape(client, deadline: deadline)
            if redis.memoryInterval != nil {
                snapshot.take(sampleMemory(client, snapshot.queues, deadline: deadline))
            }
            var status = RedisStatus()
            status.snapshot = snapshot
            status.attempts = 1
            status.lastDurationSeconds = clock.monotonic().seconds(since: start)
            status.lastSuccess = snapshot.takenAt
            for reason in snapshot.partialErrors { status.errors[reason, default: 0] += 1 }
            let families =
                RedisMetrics.families(of: snapshot, hasAsynqmonNames: options.hasAsynqmonNames)
                + RedisMetrics.families(of: status)
            return printPage(PageFormat.text.encode(families.filter { !$0.samples.isEmpty }))
        } catch {
            Program.printError("asynq-collector: Redis can't be scraped: \(error.message)")
            return ExitCode.failure
        }
    }

    /// Samples memory. A sampling that fails costs its own family, and a count.
    private static func sampleMemory(
        _ client: any RedisClient, _ queues: [QueueSnapshot], deadline: MonotonicTime
    ) -> MemorySample {
        do throws(RedisError) {
            return try MemorySampler.sample(client, queues, deadline: deadline)
        } catch {
            var failed = MemorySample()
            failed.errors = [error]
            return failed
        }
    }

    private static func printPage(_ page: [UInt8]) -> Int32 {
        var done = 0
        while done < page.count {
            let count = page.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if count < 0 && errno == EINTR { continue }
            if count < 0 {
                Program.printError("asynq-collector: \(SystemError("writing to standard output"))")
                return ExitCode.failure
            }
            done += count
        }
        return ExitCode.ok
    }
}
