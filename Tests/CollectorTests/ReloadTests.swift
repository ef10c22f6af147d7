import AsynqRedis
import Logging
import Metrics
import Model
import Platform
import SpanReceiver
import Synchronization
import Testing
import WaitTime

@testable import Collector
@testable import HTTPService
@testable import Spool

/// The parts of a collector that a reload reaches, without threads and sockets.
private final class Parts: Sendable {
    static let largeBody = 24 << 20

    let level = CollectorLogHandler.Level(.info)
    let bodyLimit = BodyLimit(16 << 20)
    let bodyShare: Int
    let largestBody: Int
    let aggregator: LockedAggregator
    let spool: Spool
    let filter = Mutex<QueueFilter?>(nil)

    init() throws {
        let defaults = try #require(try options())
        bodyShare = defaults.memory[.bodies]
        largestBody = defaults.memory.largestBody
        aggregator = LockedAggregator(defaults.aggregator, clock: .system)
        spool = try Spool(fileSystem: NoDisk(), options: defaults.spool, clock: .system)
    }

    var targets: ReloadTargets {
        ReloadTargets(
            logLevel: level, bodyLimit: bodyLimit, largestBody: largestBody, aggregator: aggregator, spool: spool,
            setQueueFilter: { [self] filter in self.filter.withLock { $0 = filter } })
    }

    func accepts(_ queue: String) -> Bool {
        var compiled = filter.withLock { $0 ?? .all }.compiled()
        return compiled.accepts(QueueName(queue))
    }

    /// Whether a body so large is received, alone.
    func receives(_ bytes: Int) -> Bool {
        bytes <= SharedLimit.largest(within: bodyShare, listeners: 3) && bytes <= bodyLimit.bytes
    }

    /// The page after attempts at tasks of three types that fail with two errors, and one of another queue.
    func page() -> String {
        let body = Array("q1q2t1t2t3e1e2".utf8)
        let spans = [(0, 4, 10), (0, 4, 12), (0, 6, 10), (0, 8, 10), (2, 4, 10)].enumerated().map { index, places in
            var span = TaskSpan()
            span.reference = SpanReference(trace: TraceID(high: 1, low: 1), span: SpanID(UInt64(index + 1)))
            span.queue = ByteRange(offset: places.0, count: 2)
            span.taskType = ByteRange(offset: places.1, count: 2)
            span.isError = true
            span.errorType = ByteRange(offset: places.2, count: 2)
            span.startNanoseconds = 1_795_197_881_000_000_000
            span.endNanoseconds = span.startNanoseconds + 1_000_000
            return span
        }
        _ = body.withUnsafeBytes { aggregator.observe(spans, in: $0, areForwarded: true) }
        let families = TaskMetrics(aggregator: aggregator, errors: RecentErrors(clock: .system), clock: .system)
            .metricFamilies()
        return String(decoding: PageFormat.text.encode(families), as: UTF8.self)
    }
}

/// Collects the lines of a logger.
private final class LogLines: Sendable {
    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
            lines.all.withLock { $0.append("\(event.level): \(event.message) \(fields)") }
        }
    }

    private let all = Mutex<[String]>([])

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }
    var texts: [String] { all.withLock { $0 } }
}

@Suite("SIGHUP")
struct ReloadTests {
    /// Of each reloadable key, a value and how to see that it is in force; false before.
    private static let proofs: [String: (value: String, isInForce: @Sendable (Parts) -> Bool)] = [
        "redis.queues.include": ("^mail", { !$0.accepts("image") && $0.accepts("mail") }),
        "redis.queues.exclude": ("^image", { !$0.accepts("image") && $0.accepts("mail") }),
        "otlp.max-body": ("24MiB", { $0.receives(Parts.largeBody) && !$0.receives(Parts.largeBody + 1) }),
        "spool.max-bytes": ("2GiB", { $0.spool.options.maxBytes == 2 << 30 }),
        "spool.max-age": ("1h", { $0.spool.options.maxAge == .seconds(3600) }),
        "spool.when-full": ("drop-oldest", { $0.spool.options.whenFull == .dropOldest }),
        "metrics.task-types": ("2", { $0.page().contains("task_type=\"_other\"") }),
        "metrics.error-types": ("1", { $0.page().contains("error_type=\"_other\"") }),
        "metrics.queues-max": ("1", { $0.page().contains("queue=\"_other\"") }),
        "log.level": ("debug", { $0.level.current == .debug }),
    ]

    private static let reloadable = NamedKey.all(where: \.isReloadable)
    private static let atStart = NamedKey.all { !$0.isReloadable }

    @Test("A new value of a reloadable key arrives where it is applied", arguments: reloadable)
    func arrives(named: NamedKey) throws {
        let key = named.key
        let proof = try #require(Self.proofs[key.name], "a proof that the new value is in force")
        #expect(try !proof.isInForce(Parts()))
        let parts = try Parts()
        let reload = try Reload(started: try settings(), new: try settings(["\(key.flag)=\(proof.value)"]))
        #expect(reload.keysForNextStart == [])
        parts.targets.apply(reload.options)
        #expect(proof.isInForce(parts))
        // And back, as when the line is deleted from the file.
        parts.targets.apply(try Reload(started: try settings(), new: try settings()).options)
        #expect(!proof.isInForce(parts) || key.name.hasPrefix("metrics."), "series that are there stay")
    }

    @Test("All reloadable keys together arrive, and none undoes another")
    func together() throws {
        let parts = try Parts()
        let arguments = Self.reloadable.map { "\($0.key.flag)=\(Self.proofs[$0.key.name]?.value ?? "")" }
        parts.targets.apply(try Reload(started: try settings(), new: try settings(arguments)).options)
        for (name, proof) in Self.proofs { #expect(proof.isInForce(parts), "\(name)") }
    }

    @Test("A change of any other key is named in the log, for the next start", arguments: atStart)
    func named(named: NamedKey) throws {
        let key = named.key
        let before = [
            "--redis-tls-cert-file=/a", "--tempo-tls-cert-file=/a", "--metrics-username=a", "--metrics-password=a",
            "--metrics-push-tls-cert-file=/a",
        ]
        let started = try settings(before)
        let log = LogLines()
        let parts = try Parts()
        RunCommand.apply(
            try settings(before + [key.flag, key.example]), started: started, to: parts.targets, log.logger)
        #expect(log.texts.count == 2)
        #expect(log.texts.first?.hasPrefix("notice: configuration read again; ") == true)
        #expect(log.texts.last == "warning: the change of these keys takes effect at the next start keys=\(key.name)")
    }

    @Test("Without a change of such a key, the log names the reloadable keys only")
    func unchanged() throws {
        let log = LogLines()
        RunCommand.apply(
            try settings(["--log-level=debug"]), started: try settings(), to: try Parts().targets, log.logger)
        let names = Self.reloadable.map(\.key.name).joined(separator: ", ")
        #expect(
            log.texts == [
                "notice: configuration read again; changes of other keys than these need a restart keys=\(names)"
            ])
    }

    @Test("A configuration with a problem is refused whole: the log says why, and nothing changes")
    func refused() throws {
        let log = LogLines()
        let parts = try Parts()
        for wrong in ["redis: {interval: soon}", "tempo: {tls: {key-file: /k}}", "no-such-key: 1"] {
            let new = try settings(["--log-level=debug", "--spool-max-bytes=2GiB"], yaml: wrong)
            RunCommand.apply(new, started: try settings(), to: parts.targets, log.logger)
            #expect(parts.level.current == .info && parts.spool.options.maxBytes == 1 << 30)
        }
        #expect(log.texts.count == 3)
        #expect(log.texts.allSatisfy { $0.hasPrefix("error: new configuration refused, the old one stays problems=") })
        #expect(log.texts[1].hasSuffix("needs tempo.tls.cert-file"))
    }

    @Test("A request larger than the shares of the start allow is refused until the next start, which the log says")
    func bodiesBeyondTheShares() throws {
        let log = LogLines()
        let parts = try Parts()
        let new = try settings(["--otlp-max-body=100MiB", "--memory-limit=1GiB"])
        RunCommand.apply(new, started: try settings(), to: parts.targets, log.logger)
        #expect(parts.bodyLimit.bytes == parts.largestBody)
        #expect(
            log.texts.last
                == "warning: the change of these keys takes effect at the next start keys=otlp.max-body, memory.limit")
    }
}
