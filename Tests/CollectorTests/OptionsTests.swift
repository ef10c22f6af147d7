import AsynqRedis
import Forwarder
import HTTPService
import Logging
import Metrics
import OTLP
import SpanReceiver
import Spool
import Testing
import WaitTime

@testable import Collector

@Suite("From settings to options")
struct OptionsTests {
    private struct Arrival: Sendable {
        let value: String
        let expected: String
        /// What the part is given, as text.
        let given: @Sendable (CollectorOptions) -> Any?

        init(_ value: String, _ expected: String, _ given: @escaping @Sendable (CollectorOptions) -> Any?) {
            self.value = value
            self.expected = expected
            self.given = given
        }
    }

    /// All parts on, so that each key has a place to arrive at.
    private static let everythingOn = [
        "--redis-url=redis-sentinel://h/0?master=m", "--tempo-endpoint=http://t", "--traces-wait-span=true",
    ]

    private static let redis: [String: Arrival] = [
        "redis.url": Arrival("redis://other:1/2", "other:1", { $0.redis?.target.endpoint.description }),
        "redis.username": Arrival("joe", "joe", { $0.redis?.target.endpoint.username }),
        "redis.password": Arrival("hush", "hush", { $0.redis?.target.endpoint.password }),
        "redis.sentinel-password": Arrival("hush", "hush", { $0.redis?.target.sentinels?.password }),
        "redis.interval": Arrival("7s", "7000000000", { $0.redis?.intervalNanoseconds }),
        "redis.timeout": Arrival("7s", "7000000000", { $0.redis?.timeoutNanoseconds }),
        "redis.look-ahead": Arrival("7", "7", { $0.redis?.lookAhead?.count }),
        "redis.look-interval": Arrival("7s", "7000000000", { $0.redis?.lookAhead?.intervalNanoseconds }),
        "redis.queues.include": Arrival("^a", "include: Optional(\"^a\"), exclude: nil", { $0.redis?.filter }),
        "redis.queues.exclude": Arrival("^a", "include: nil, exclude: Optional(\"^a\")", { $0.redis?.filter }),
        "redis.memory-sampling": Arrival("7s", "7000000000", { $0.redis?.memoryIntervalNanoseconds }),
        "traces.context.traceparent": Arrival("a, b", "[\"a\", \"b\"]", { $0.redis?.contextKeys.traceParent }),
        "traces.context.tracestate": Arrival("a", "[\"a\"]", { $0.redis?.contextKeys.traceState }),
        "traces.context.trace-id": Arrival("a", "[\"a\"]", { $0.redis?.contextKeys.traceID }),
        "traces.context.span-id": Arrival("a", "[\"a\"]", { $0.redis?.contextKeys.spanID }),
        "traces.context.enqueued-at": Arrival("a", "[\"a\"]", { $0.redis?.contextKeys.enqueuedAt }),
        "traces.context.process-at": Arrival("a", "[\"a\"]", { $0.redis?.contextKeys.processAt }),
    ]

    private static let otlp: [String: Arrival] = [
        "otlp.socket": Arrival("@s", "unix:@s", { $0.otlpListen.first }),
        "otlp.socket-mode": Arrival("0600", "\(0o600)", { $0.otlpSocket.mode }),
        "otlp.socket-group": Arrival("g", "g", { $0.otlpSocket.group }),
        "otlp.listen": Arrival("h:1", "h:1", { $0.otlpListen.last }),
        "otlp.bearer-token": Arrival("hush", "hush", { $0.receiver.bearerToken }),
        "otlp.cors.allowed-origins": Arrival("https://a", "origins: Set([\"https://a\"])", { $0.receiver.cors }),
        "otlp.cors.allowed-headers": Arrival("x-b", "authorization, x-b", { $0.receiver.cors }),
        "otlp.max-body": Arrival("7KiB", "7168", { $0.receiver.bodyLimit.bytes }),
    ]

    private static let tempo: [String: Arrival] = [
        "tempo.endpoint": Arrival("https://other", "https://other/v1/traces", { $0.forwarder?.endpoint.url }),
        "tempo.headers": Arrival("A=b", "[(name: \"A\", value: \"b\")]", { $0.forwarder?.headers }),
        "tempo.compression": Arrival("zstd", "zstd", { $0.forwarder?.compression }),
        "tempo.timeout": Arrival("7s", "7000000000", { $0.forwarder?.timeoutNanoseconds }),
        "tempo.batch.max-bytes": Arrival("7KiB", "7168", { $0.forwarder?.maxBatchBytes }),
        "tempo.batch.max-spans": Arrival("7", "7", { $0.forwarder?.maxBatchSpans }),
        "tempo.batch.max-delay": Arrival("7s", "7000000000", { $0.forwarder?.maxDelayNanoseconds }),
        "tempo.drain.max-spans-per-second": Arrival("7", "7", { $0.forwarder?.maxDrainSpansPerSecond }),
        "tempo.retry.initial": Arrival("7s", "7000000000", { $0.forwarder?.retryInitialNanoseconds }),
        "tempo.retry.max": Arrival("7s", "7000000000", { $0.forwarder?.retryMaxNanoseconds }),
    ]

    private static let rest: [String: Arrival] = [
        "spool.directory": Arrival("/d", "/d", { $0.spoolDirectory }),
        "spool.max-bytes": Arrival("7MiB", "7340032", { $0.spool.maxBytes }),
        "spool.max-age": Arrival("7s", "7000000000", { $0.spool.maxAgeNanoseconds }),
        "spool.when-full": Arrival("drop-oldest", "dropOldest", { $0.spool.whenFull }),
        "spool.sync": Arrival("7s", "interval(nanoseconds: 7000000000)", { $0.spool.sync }),
        "metrics.listen": Arrival("h:1", "h:1", { $0.metricsListen }),
        "metrics.wait-buckets": Arrival("1,2.5", "[1.0, 2.5]", { $0.aggregator.bounds.values }),
        "metrics.task-types": Arrival("7", "7", { $0.aggregator.maxTaskTypes }),
        "metrics.queues-max": Arrival("7", "7", { $0.aggregator.maxQueues }),
        "metrics.asynqmon-names": Arrival("true", "true", { $0.hasAsynqmonNames }),
        "metrics.quantile-window": Arrival("7s", "7000000000", { $0.aggregator.quantileWindowNanoseconds }),
        "scale.target-utilization": Arrival("0.5", "0.5", { $0.targetUtilization }),
        "wait.attributes": Arrival("a:ms", "name: \"a\"", { $0.waitAttributes }),
        "traces.dead-letter-span": Arrival("true", "true", { $0.addsDeadLetterSpans }),
        "traces.wait-span": Arrival("false", "false", { $0.aggregator.collectsWaits }),
        "traces.relink": Arrival("parent", "parent", { $0.relink }),
        "traces.lookup-timeout": Arrival("7s", "7000000000", { $0.lookupTimeoutNanoseconds }),
        "log.level": Arrival("debug", "debug", { $0.logLevel }),
        "log.format": Arrival("json", "json", { $0.logFormat }),
        "external-url.grafana": Arrival("http://g/", "http://g", { $0.traceLinks.grafana }),
        "external-url.tempo-datasource": Arrival("uid", "uid", { $0.traceLinks.dataSource }),
    ]

    private static let arrivals = redis.merging(otlp) { first, _ in first }.merging(tempo) { first, _ in first }
        .merging(rest) { first, _ in first }

    @Test(
        "The value of each key arrives in the options of its part",
        arguments: NamedKey.all {
            !$0.name.contains(".tls.")
        })
    func arrives(named: NamedKey) throws {
        let key = named.key
        let arrival = try #require(Self.arrivals[key.name], "where the value of \(key.name) arrives")
        let before = try #require(try options(Self.everythingOn))
        let after = try #require(try options(Self.everythingOn + ["\(key.flag)=\(arrival.value)"]))
        let given = arrival.given(after).map { "\($0)" } ?? "nil"
        // Some types show more than the value.
        #expect(arrival.expected.count > 3 ? given.contains(arrival.expected) : given == arrival.expected)
        #expect(arrival.given(before).map { "\($0)" } != given)
    }

    @Test("The files and names of TLS arrive, each where it belongs")
    func tls() throws {
        var arguments: [String] = []
        for part in ["redis", "tempo"] {
            for name in ["ca-file", "cert-file", "key-file"] {
                arguments += ["--\(part)-tls-\(name)=/\(part)-\(name)"]
            }
            arguments += ["--\(part)-tls-server-name=\(part)", "--\(part)-tls-insecure-skip-verify=true"]
        }
        let all = try settings(arguments)
        #expect(all.problems == [])
        let redis = RedisTLSOptions(all)
        #expect(redis.caFile == "/redis-ca-file" && redis.certificateFile == "/redis-cert-file")
        #expect(redis.keyFile == "/redis-key-file" && redis.serverName == "redis")
        #expect(redis.skipsVerification)
        let tempo = ForwarderTLS(all)
        #expect(tempo.caFile == "/tempo-ca-file" && tempo.certificateFile == "/tempo-cert-file")
        #expect(tempo.keyFile == "/tempo-key-file" && tempo.skipsVerification)
        let named = try options(["--tempo-endpoint=https://h", "--tempo-tls-server-name=other"])
        #expect(named?.forwarder?.endpoint == (try TraceEndpoint(base: "https://h", serverName: "other")))
    }

    @Test("Words that switch a part off do so")
    func off() throws {
        #expect(try options(["--redis-url=none"])?.redis == nil)
        #expect(try options(["--redis-look-ahead=0"])?.redis?.lookAhead == nil)
        #expect(try options(["--redis-look-interval=0"])?.redis?.lookAhead == nil)
        #expect(try options()?.redis?.lookAhead == LookAheadOptions(count: 100, intervalNanoseconds: 1_000_000_000))
        #expect(try options(["--redis-memory-sampling=off"])?.redis?.memoryIntervalNanoseconds == nil)
        #expect(try options(["--tempo-endpoint="])?.forwarder == nil)
        #expect(try options(["--traces-wait-span=true"])?.aggregator.collectsWaits == false, "nothing is forwarded")
        #expect(try options(["--spool-sync=never"])?.spool.sync == .never)
        #expect(
            try options(["--otlp-socket=none"])?.otlpListen.map(\.description) == ["127.0.0.1:4317", "127.0.0.1:4318"])
    }

    private static let wrongWhereOff: [(arguments: [String], problem: String)] = [
        (["--tempo-tls-key-file=/k"], "tempo.tls.key-file = \"/k\" (--tempo-tls-key-file): needs tempo.tls.cert-file"),
        (["--redis-tls-key-file=/k"], "redis.tls.key-file = \"/k\" (--redis-tls-key-file): needs redis.tls.cert-file"),
        (
            ["--redis-url=none", "--redis-tls-key-file=/k"],
            "redis.tls.key-file = \"/k\" (--redis-tls-key-file): needs redis.tls.cert-file"
        ),
        (
            ["--tempo-tls-server-name=a b"],
            "tempo.tls.server-name = \"a b\" (--tempo-tls-server-name): allowed is a host's name or address"
        ),
        (
            ["--redis-look-ahead=0", "--redis-look-interval=1ms"],
            """
            redis.look-interval = "1ms" (--redis-look-interval): \
            allowed is 0, or a duration of 100ms or more, such as 250ms, 5s, 2m, 1h
            """
        ),
        (
            ["--redis-url=none", "--redis-memory-sampling=1ms"],
            """
            redis.memory-sampling = "1ms" (--redis-memory-sampling): \
            allowed is off, or a duration of 1s or more, such as 250ms, 5s, 2m, 1h
            """
        ),
    ]

    @Test("The values and rules of parts that are off are checked too", arguments: wrongWhereOff.indices)
    func partsThatAreOff(index: Int) throws {
        #expect(try problems(Self.wrongWhereOff[index].arguments) == [Self.wrongWhereOff[index].problem])
    }

    @Test("Files of TLS are read only for a part that is on: a machine that checks need not have the others")
    func files() throws {
        #expect(try problems(["--tempo-tls-ca-file=/not/there", "--redis-tls-ca-file=/not/there"]) == [])
        let found = try problems([
            "--tempo-endpoint=https://h", "--tempo-tls-ca-file=/not/there", "--redis-url=rediss://h",
            "--redis-tls-ca-file=/not/there",
        ])
        #expect(found.count == 2)
        #expect(found.first?.hasPrefix("redis.tls: reading redis.tls.ca-file /not/there") == true)
        #expect(found.last?.hasPrefix("tempo.tls: reading tempo.tls.ca-file /not/there") == true)
    }
}
