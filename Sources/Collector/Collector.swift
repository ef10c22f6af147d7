import AsynqRedis
import Forwarder
import Glibc
import HTTPService
package import Logging
import Metrics
import MetricsPush
import Model
import NIOCore
import NIOPosix
import OTLP
import OTLPClient
package import Platform
import Redis
import SpanReceiver
import Spool
import Synchronization
import Text
import WaitTime
import Web

/// The whole sidecar, wired: Redis → metrics, spans → spool → trace backend, web endpoints.
///
/// The start fails fast, in the order in which something could be missing: spool, threads, listeners. After that no
/// peer ends it. The end goes against the flow: no new requests, those in flight end, the content of the spool is sent
/// for a while, the spool is synced.
package final class Collector: Sendable {
    /// The time between two points of the history of queues that only spans name.
    static let intervalWithoutRedis = Duration.seconds(5)
    /// The time after which the allocator is asked whether it holds more than this of what was freed, after a peak.
    private static let trimInterval = TimeAmount.seconds(10)
    private static let keptFreeBytes = 6 << 20

    let options: CollectorOptions
    let clock: Clock
    let logger: Logger
    let counters = ReceiverCounters()
    private let otlpLimits: HTTPLimits
    private let webLimits: HTTPLimits
    let aggregator: LockedAggregator
    /// The side of Redis; nil where `redis.url` is none.
    let redis: RedisSide?
    /// The side of the trace backend; nil where `tempo.endpoint` is none.
    let tempo: TempoSide?
    private let ingestSink: IngestSink
    let errors: RecentErrors
    /// The newest spans; nil where none are kept in memory.
    let recentTraces: RecentTraces?
    let memory: MemoryUse
    let registry: MetricsRegistry
    /// The pushing of metrics; nil where `metrics.push.endpoint` is none.
    let push: PushSide?
    let watch: StatusWatch
    let documents = DocumentCache()
    let startedAt: WallTime
    let queries: QueueQueries
    /// The signs of life that the service manager's watchdog and liveness probes stand for.
    let lifeSigns: LifeSigns
    let otlpGroup: MultiThreadedEventLoopGroup
    /// The event loop of the web endpoints, so that no span waits for a page.
    let webGroup: MultiThreadedEventLoopGroup
    /// The thread that reads requests which would hold the receiver's event loop.
    let receiverWork: SerialThread
    let servers = Mutex<Servers>(Servers())

    /// The listeners, once they are bound.
    struct Servers {
        var web: HTTPServer?
        /// The servers of the unix socket, and of the TCP addresses.
        var otlp: [HTTPServer] = []
        /// True once every configured address is bound.
        var isListening = false

        var all: [HTTPServer] { otlp + [web].compactMap(\.self) }
    }

    /// Opens the spool; nothing runs yet.
    ///
    /// - Throws: The reason why it can't start, in words that say what to change.
    package init(_ options: CollectorOptions, clock: Clock, makeLogger: (String) -> Logger) throws {
        self.options = options
        self.clock = clock
        receiverWork = SerialThread(name: "receiver-work", clock: clock)
        logger = makeLogger("collector")
        options.secretReports.use { [logger] problem in
            logger.warning(
                "a secret can't be read again; the one that was read last stays in use",
                metadata: ["problem": "\(problem)"])
        }
        let httpMemory = HTTPMemory(
            bodyBytes: options.memory[.bodies], streamBytes: options.memory[.streams],
            descriptors: Descriptors.forConnections)
        otlpLimits = HTTPLimits(memory: httpMemory, refusals: RefusalLog(makeLogger("receiver"), clock))
        webLimits = HTTPLimits(
            memory: httpMemory, maxAnswerBytes: options.memory[.pages], refusals: RefusalLog(makeLogger("web"), clock))
        let window = options.aggregator.quantileWindow
        let sampledWaits = SampledWaits(options.aggregator.bounds, window: window, clock: clock)
        let loads = QueueLoads(window: window)
        let startedAt = clock.wall()
        self.startedAt = startedAt
        let interval = options.redis?.interval ?? Self.intervalWithoutRedis
        let watch = StatusWatch(
            interval: interval, historyBytes: options.memory[.history], clock: clock, logger: makeLogger("attention"))
        self.watch = watch
        redis = try options.redis.map { try RedisSide($0, options, clock: clock, logger: makeLogger("redis")) }
        tempo = try options.forwarder.map { try TempoSide($0, options, clock: clock, makeLogger: makeLogger) }
        // After all that may fail: their threads end with the process only.
        otlpGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        webGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        aggregator = LockedAggregator(options.aggregator, clock: clock)
        errors = RecentErrors(maxBytes: options.memory[.errors], clock: clock)
        recentTraces = RecentTraces(within: options.memory[.recentSpans])
        ingestSink = IngestSink(
            aggregator: aggregator, seenTasks: redis?.monitor.seenTasks, spool: tempo?.spool,
            forwarder: tempo?.forwarder, errors: errors, recentTraces: recentTraces)
        let deadLetterSpans =
            options.addsDeadLetterSpans
            ? tempo.map { [counters, ingestSink] in
                DeadLetterSpans(sink: ingestSink, counters: counters, perform: $0.appends.run)
            } : nil
        var observers = RedisObservers()
        observers.snapshot = { [aggregator] snapshot in
            loads.record(snapshot.queues, at: clock.monotonic())
            watch.record(snapshot, waits: aggregator.measuredWaits(or: sampledWaits))
        }
        observers.queueNames = { [aggregator] in aggregator.recordQueuesInRedis($0) }
        observers.waits = { sampledWaits.observe($0) }
        observers.deadLetters = { [errors] letters in
            errors.recordDeadLetters(letters)
            deadLetterSpans?.take(letters.filter(\.isArrival))
        }
        redis?.monitor.report(to: observers)
        var sources = redis?.queueSources(sampledWaits) ?? []
        sources.append(TaskMetrics(aggregator: aggregator, errors: errors, clock: clock))
        if let redis { sources.append(redis.relinkMetrics(deadLetterSpans)) }
        sources.append(
            PipelineMetrics(
                counters: counters, limits: [otlpLimits, webLimits], aggregator: aggregator, tempo: tempo, clock: clock,
                makesSpans: options.aggregator.collectsWaits || options.addsDeadLetterSpans))
        let pushCounters = options.push.map { _ in PushCounters() }
        memory = MemoryUse(
            options.memory, http: httpMemory, limits: [otlpLimits, webLimits], requests: options.receiver.requestMemory,
            aggregator: aggregator, redis: redis, tempo: tempo, pushes: pushCounters, recentTraces: recentTraces,
            watch: watch, errors: errors)
        sources.append(MemoryMetrics(use: memory))
        sources.append(ProcessMetrics(clock: clock))
        if let pushes = PushMetrics(pushCounters, options.push) { sources.append(pushes) }
        registry = MetricsRegistry(sources)
        push = PushSide(
            options, counters: pushCounters, registry: registry, startedAt: startedAt, clock: clock,
            logger: makeLogger("push"))
        let maxAge = options.redis.map { $0.interval * 3 + $0.timeout } ?? .zero
        queries = QueueQueries(
            redis: redis?.monitor, aggregator: aggregator, sampledWaits: sampledWaits, loads: loads,
            maxAge: maxAge, targetUtilization: options.targetUtilization, clock: clock)
        lifeSigns = LifeSigns(
            web: webGroup.next(), receiver: otlpGroup.next(), receiverWork: receiverWork, redis: redis, tempo: tempo,
            push: push)
    }

    /// Starts the threads, and then the listeners.
    /// - Throws: The reason why one can't be started; `stop` then ends the others.
    package func start() throws {
        try tempo?.start()
        try startReading()
        try startListening()
        try push?.start()
        logStart()
    }

    private func startListening() throws {
        if !options.metricsListen.isEmpty {
            let web = try Self.naming("metrics.listen") { () throws(ListenError) in
                try HTTPServer(
                    options.metricsListen, limits: webLimits, group: webGroup,
                    responder: WebResponder(self, options.webAccess),
                    report: reportSocketFile)
            }
            servers.withLock { $0.web = web }
        }
        try receiverWork.start()
        let responder = OTLPResponder(
            options.receiver, attributes: TaskAttributeTable(waitAttributes: options.waitAttributes),
            sink: ingestSink, counters: counters, relinker: redis?.relinker, appends: tempo?.appends,
            worker: receiverWork)
        for (key, addresses) in options.otlpListen where !addresses.isEmpty {
            let server = try Self.naming(key) { () throws(ListenError) in
                try HTTPServer(
                    addresses, unixSocket: options.otlpSocket, http2: true, limits: otlpLimits, group: otlpGroup,
                    responder: responder, report: reportSocketFile)
            }
            servers.withLock { $0.otlp.append(server) }
        }
        servers.withLock { $0.isListening = true }
    }

    /// Reads Redis and judges what needs attention, without any listener.
    /// - Throws: `SystemError` where the system can't start another thread.
    func startReading() throws(SystemError) {
        try redis?.start()
        watchStatus()
    }

    /// Records the queues that spans name, where no scrape does so, and judges what needs attention.
    private func watchStatus() {
        let eventLoop = webGroup.next()
        if redis == nil {
            let interval = TimeAmount.nanoseconds(Self.intervalWithoutRedis.wholeNanoseconds)
            eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { [weak self] task in
                guard let self else { return task.cancel() }
                watch.record(nil, waits: aggregator.measuredWaits)
            }
        }
        eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { [weak self] task in
            guard let self else { return task.cancel() }
            if watch.isJudgementDue { judge() }
        }
        eventLoop.scheduleRepeatedTask(initialDelay: Self.trimInterval, delay: Self.trimInterval) { _ in
            Allocator.returnFreedMemory(beyond: Self.keptFreeBytes)
        }
    }

    @discardableResult
    func judge() -> StatusWatch.State {
        watch.judge(
            redis: queries.reading, letters: redis?.monitor.newestDeadLetters ?? [], spans: spanPath, pushes: pushes)
    }

    private func logStart() {
        let web = servers.withLock { $0.web }
        let backend = options.forwarder.map(\.backend.shownEndpoint)
        var metadata: Logger.Metadata = [
            "version": "\(BuildInfo.version)",
            "metrics": "\(Self.text(web?.addresses ?? []))",
            "otlp": "\(Self.text(otlpAddresses))",
            "redis": "\(options.redis?.target.url ?? "none")",
            "tempo": "\(backend ?? "none: spans feed the metrics only")",
        ]
        if let push = options.push { metadata["push"] = "\(push.backend.shownEndpoint)" }
        logger.notice("started", metadata: metadata)
        logger.notice(
            "memory",
            metadata: [
                "limit": "\(humanBytes(options.memory.limit))", "shares": "\(options.memory)",
                "largest_request": "\(humanBytes(options.receiver.bodyLimit.bytes))",
            ])
        if let recovered = tempo?.spool.statistics.recoveredSpans, recovered > 0 {
            logger.notice("spool recovered", metadata: ["spans": "\(recovered)"])
        }
    }

    private static func text(_ addresses: [ListenAddress]) -> String {
        addresses.isEmpty ? "none" : addresses.map(\.description).joined(separator: ", ")
    }

    /// Opens listeners; an error names their key.
    private static func naming<T>(_ key: String, _ open: () throws(ListenError) -> T) throws(UnboundListener) -> T {
        do throws(ListenError) {
            return try open()
        } catch {
            throw UnboundListener(key: key, error: error)
        }
    }

    @Sendable private func reportSocketFile(_ event: SocketFileEvent) {
        switch event {
        case .reopened(let path):
            logger.warning("the socket file was removed; listening on a new one", metadata: ["path": "\(path)"])
        case .unreachable(let path, let problem):
            logger.error(
                "the file of a unix socket was removed and can't be made again; no client can connect",
                metadata: ["path": "\(path)", "error": "\(problem)"])
        }
    }

    /// The parts that SIGHUP reaches.
    func reloadTargets(_ logLevel: CollectorLogHandler.Level) -> ReloadTargets {
        ReloadTargets(
            logLevel: logLevel, bodyLimit: options.receiver.bodyLimit, largestBody: options.memory.largestBody,
            aggregator: aggregator,
            spool: tempo?.spool, setQueueFilter: { [redis] filter in redis?.setFilter(filter) })
    }

    /// The addresses at which spans are received, as bound.
    var otlpAddresses: [ListenAddress] { servers.withLock { $0.otlp.flatMap(\.addresses) } }

    /// The first address of the web endpoints, as bound.
    package var webAddress: String { servers.withLock { $0.web?.addresses.first?.description } ?? "" }

    /// The reason why clients can't reach a listener; nil where they can reach all.
    var listenerProblem: String? {
        let servers = servers.withLock { $0 }
        if !servers.isListening { return "listeners are not bound yet" }
        return servers.all.lazy.compactMap(\.unreachableSocket).first.map { "the file of the socket \($0) is gone" }
    }
}

extension RefusalLog {
    convenience init(_ logger: Logger, _ clock: Clock) {
        self.init(now: clock.monotonic) { line in
            logger.warning(
                "\(line.refusal.event)",
                metadata: [
                    "reason": "\(line.refusal.reason)", "peer": "\(line.peer)", "text": "\(line.refusal.text)",
                    "more_since_last_line": "\(line.more)",
                ])
        }
    }
}

/// A listener that could not be opened at the start: its key, its address and the reason.
struct UnboundListener: Error, CustomStringConvertible {
    let key: String
    let error: ListenError

    var description: String { "\(key): \(error)" }
}
