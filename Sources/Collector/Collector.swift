import AsynqRedis
import Forwarder
import Glibc
import HTTPService
package import Logging
import Metrics
import Model
import NIOCore
import NIOPosix
import OTLP
package import Platform
import Redis
import SpanReceiver
import Spool
import Synchronization
import WaitTime
import Web

/// The whole sidecar, wired: Redis → metrics, spans → spool → trace backend, web endpoints.
///
/// Start fails fast, in the order in which something could be missing: spool, threads, listeners. After that no peer
/// ends it. Stop goes against the flow: no new requests, those in flight end, what is spooled is sent for a while, the
/// spool is synced.
package final class Collector: Sendable {
    /// For requests in flight and the last spans together.
    private static let shutdownNanoseconds: UInt64 = 5_000_000_000

    private let options: CollectorOptions
    private let clock: Clock
    private let logger: Logger
    private let counters = ReceiverCounters()
    private let otlpLimits: HTTPLimits
    private let webLimits = HTTPLimits()
    private let taskMetrics: TaskMetrics
    private let spoolLock: DirectoryLock?
    private let spool: Spool?
    private let spoolLogger: Logger?
    private let forwarder: Forwarder?
    private let redis: RedisMonitor?
    private let lookup: TaskLookup?
    private let taskContexts: TaskContexts?
    private let relinker: TraceRelinker?
    private let ingestSink: IngestSink
    private let deadLetterSpans: DeadLetterSpans?
    private let registry: MetricsRegistry
    private let history = QueueHistory()
    let queues: QueueQueries
    /// The receiver's, on which spans are appended: a disk that hangs hangs it.
    private let otlpGroup: MultiThreadedEventLoopGroup
    /// The web endpoints', which say so then; and no span waits for a page.
    private let webGroup: MultiThreadedEventLoopGroup
    private let servers = Mutex<(web: HTTPServer?, otlp: [HTTPServer])>((nil, []))

    /// Opens the spool; nothing runs yet.
    package init(_ options: CollectorOptions, clock: Clock, makeLogger: (String) -> Logger) throws {
        self.options = options
        self.clock = clock
        logger = makeLogger("collector")
        otlpLimits = HTTPLimits(
            maxBodyBytes: ReloadableOptions.bodiesInFlightBytes(maxBodyBytes: options.receiver.bodyLimit.bytes))
        let window = options.aggregator.quantileWindowNanoseconds
        let sampledWaits = SampledWaits(options.aggregator.bounds, windowNanoseconds: window, clock: clock)
        let loads = QueueLoads(windowNanoseconds: window)
        if let redisOptions = options.redis {
            let monitor = try RedisMonitor(redisOptions, clock: clock, logger: makeLogger("redis"))
            let seen = monitor.seenTasks
            let lookup = try TaskLookup(
                redisOptions.target, tasks: seen, clock: clock, logger: makeLogger("redis"),
                patienceNanoseconds: options.lookupTimeoutNanoseconds)
            redis = monitor
            self.lookup = lookup
            let contexts = TaskContexts(seen: seen, lookup: lookup, filter: redisOptions.filter)
            taskContexts = contexts
            relinker = TraceRelinker(options.relink, source: contexts)
        } else {
            redis = nil
            lookup = nil
            taskContexts = nil
            relinker = nil
        }
        let isLookingAhead = options.redis?.lookAhead != nil
        taskMetrics = TaskMetrics(
            options.aggregator, readyTimes: redis?.seenTasks, clock: clock)
        if let forward = options.forwarder {
            let opened = try OpenedSpool(directory: options.spoolDirectory, options: options.spool, clock: clock)
            spoolLock = opened.lock
            spool = opened.spool
            spoolLogger = makeLogger("spool")
            forwarder = Forwarder(spool: opened.spool, options: forward, clock: clock, logger: makeLogger("forwarder"))
        } else {
            spoolLock = nil
            spool = nil
            spoolLogger = nil
            forwarder = nil
        }
        otlpGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        ingestSink = IngestSink(taskMetrics: taskMetrics, spool: spool, forwarder: forwarder)
        deadLetterSpans =
            options.addsDeadLetterSpans && spool != nil
            ? DeadLetterSpans(sink: ingestSink, counters: counters, eventLoop: otlpGroup.next()) : nil
        var observers = RedisObservers()
        observers.snapshot = { loads.record($0.queues, at: clock.monotonic()) }
        observers.queueNames = { [taskMetrics] in taskMetrics.use($0) }
        observers.waits = { sampledWaits.observe($0) }
        observers.deadLetters = { [deadLetterSpans] in deadLetterSpans?.take($0) }
        redis?.report(to: observers)
        var sources: [any MetricSource] = []
        if let redis {
            sources.append(RedisMetrics(monitor: redis, hasAsynqmonNames: options.hasAsynqmonNames))
            if isLookingAhead { sources.append(LookAheadMetrics(monitor: redis, waits: sampledWaits)) }
        }
        sources.append(taskMetrics)
        if let redis, let relinker, let lookup {
            sources.append(
                RelinkMetrics(
                    relinker: relinker, lookup: lookup, monitor: redis, deadLetterSpans: deadLetterSpans))
        }
        sources.append(
            PipelineMetrics(
                counters: counters, limits: [otlpLimits, webLimits], taskMetrics: taskMetrics, spool: spool,
                forwarder: forwarder, clock: clock,
                makesSpans: options.aggregator.collectsWaits || options.addsDeadLetterSpans))
        sources.append(ProcessMetrics(clock: clock))
        registry = MetricsRegistry(sources)
        let patience = 3 * (options.redis?.intervalNanoseconds ?? 0) + (options.redis?.timeoutNanoseconds ?? 0)
        queues = QueueQueries(
            redis: redis, taskMetrics: taskMetrics, sampledWaits: sampledWaits, loads: loads,
            maxAgeNanoseconds: Int64(clamping: patience), targetUtilization: options.targetUtilization, clock: clock)
        webGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    package func start() throws {
        try spool?.start { [spoolLogger] in spoolLogger?.note($0) }
        try forwarder?.start()
        try redis?.start()
        try lookup?.start()
        let web = try HTTPServer(
            options.metricsListen, limits: webLimits, group: webGroup, responder: WebResponder(CollectorWebState(self)))
        servers.withLock { $0.web = web }
        let interval = TimeAmount.seconds(QueueHistory.intervalSeconds)
        webGroup.next().scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] task in
            guard let self else { return task.cancel() }
            history.record(queues.rows)
        }
        let responder = OTLPResponder(
            options.receiver, attributes: TaskAttributeTable(waitAttributes: options.waitAttributes),
            sink: ingestSink, counters: counters, relinker: relinker)
        for address in options.otlpListen {
            let server = try HTTPServer(
                address, unixSocket: options.otlpSocket, http2: true, limits: otlpLimits, group: otlpGroup,
                responder: responder)
            servers.withLock { $0.otlp.append(server) }
        }
        logStart()
    }

    private func logStart() {
        let (web, otlp) = servers.withLock { ($0.web, $0.otlp) }
        let tempo = options.forwarder.map { EffectiveConfiguration.redactedURL($0.endpoint.url) }
        logger.notice(
            "started",
            metadata: [
                "version": "\(BuildInfo.version)",
                "metrics": "\(web?.address.description ?? "none")",
                "otlp": "\(otlp.map(\.address.description).joined(separator: ", "))",
                "redis": "\(options.redis?.target.description ?? "none")",
                "tempo": "\(tempo ?? "none: spans feed the metrics only")",
            ])
        if let recovered = spool?.statistics.recoveredSpans, recovered > 0 {
            logger.notice("spool recovered", metadata: ["spans": "\(recovered)"])
        }
    }

    /// The parts that SIGHUP reaches.
    func reloadTargets(_ logLevel: CollectorLogHandler.Level) -> ReloadTargets {
        ReloadTargets(
            logLevel: logLevel, bodyLimit: options.receiver.bodyLimit, otlpLimits: otlpLimits,
            taskMetrics: taskMetrics, spool: spool,
            useQueueFilter: { [redis, taskContexts] filter in
                redis?.use(filter)
                taskContexts?.use(filter)
            })
    }

    /// Where the web endpoints are, as bound.
    package var webAddress: String { servers.withLock { $0.web?.address.description } ?? "" }

    /// Ends everything, in at most about five seconds. Spans that could not be sent stay in the spool.
    package func stop() {
        let deadline = clock.monotonic().advanced(byNanoseconds: Self.shutdownNanoseconds)
        let (web, otlp) = servers.withLock { ($0.web, $0.otlp) }
        redis?.beginStop()
        for server in otlp { server.quiesce() }
        let patience = clock.monotonic().advanced(byNanoseconds: Self.shutdownNanoseconds / 2)
        while otlp.contains(where: { $0.openConnections > 0 }) && clock.monotonic() < patience { usleep(5000) }
        for server in otlp { server.close() }
        lookup?.beginStop()
        forwarder?.stop(drainUntil: deadline)
        spool?.close()
        redis?.awaitStop(until: deadline)
        lookup?.awaitStop(until: deadline)
        web?.quiesce()
        web?.close()
        do {
            for group in [otlpGroup, webGroup] { try group.syncShutdownGracefully() }
        } catch {
            logger.warning("event loops did not end", metadata: ["error": "\(error)"])
        }
        if let left = spool?.statistics.spans, left > 0 {
            logger.notice("stopped; spans wait in the spool for the next start", metadata: ["spans": "\(left)"])
        } else {
            logger.notice("stopped")
        }
    }

    // MARK: What the outside sees

    func writeMetricsPage(_ format: PageFormat, to sink: (UnsafeRawBufferPointer) -> Void) {
        registry.encodePage(format, to: sink)
    }

    func statusPage() -> [UInt8] {
        var content = StatusContent(
            version: BuildInfo.version, redis: queues.reading, spans: spanTotals, forwarderState: forwarderState,
            links: options.traceLinks, now: (clock.wall(), clock.monotonic()))
        content.rows = queues.rows
        content.history = history.all
        content.deadLetters = newestDeadLetters
        content.slowestWaits = taskMetrics.slowestWaits
        return StatusPage.html(content)
    }

    var newestDeadLetters: [DeadLetter] { redis?.newestDeadLetters ?? [] }

    fileprivate func scale(ofQueue name: [UInt8]) -> ScaleReply {
        let name = QueueName(name)
        return switch queues.scale(of: name) {
        case .advice(let advice): .advice(QueueDocuments.scale(advice, of: name))
        case .unknownQueue: .unknownQueue
        case .stale(let reason): .stale(reason)
        }
    }

    var forwarderState: String {
        guard let forwarder else { return "off (tempo.endpoint is none)" }
        let statistics = forwarder.statistics
        if let failure = statistics.lastFailure { return "retrying: \(failure)" }
        return statistics.isBackendUp == nil ? "nothing sent yet" : "up"
    }

    /// Spans received since the start and what became of them; nil while the spool's disk hangs.
    var spanTotals: SpanTotals? { Books.read(counters, spool)?.totals }

    func unreadyReason() -> String? {
        let (web, otlp) = servers.withLock { ($0.web, $0.otlp.count) }
        if web == nil || otlp < options.otlpListen.count { return "listeners are not bound yet" }
        if let spool {
            guard let statistics = spool.statistics(patienceNanoseconds: Books.patienceNanoseconds) else {
                return "the spool's disk does not answer"
            }
            if let failure = statistics.lastFailure { return "the spool can't be written: \(failure)" }
        }
        if let redis, redis.current.attempts == 0 { return "Redis has not been tried yet" }
        return nil
    }
}

private struct CollectorWebState: WebState {
    private let collector: Collector

    init(_ collector: Collector) {
        self.collector = collector
    }

    func writeMetricsPage(_ format: PageFormat, to sink: (UnsafeRawBufferPointer) -> Void) {
        collector.writeMetricsPage(format, to: sink)
    }
    func unreadyReason() -> String? { collector.unreadyReason() }
    func statusPage() -> [UInt8] { collector.statusPage() }
    func deadLetters() -> [UInt8] { QueueDocuments.deadLetters(collector.newestDeadLetters) }
    func queues() -> QueuesReply {
        let rows = collector.queues.rows
        if rows.isEmpty, let reason = collector.queues.reading.unreadReason { return .unread(reason) }
        return .list(QueueDocuments.queues(rows))
    }
    func scale(ofQueue name: [UInt8]) -> ScaleReply { collector.scale(ofQueue: name) }
}
