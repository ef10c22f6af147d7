import AsynqRedis

/// What the text of a value has to be.
enum ValueForm: Sendable {
    case text
    case secret
    /// A url that may hold a user and password.
    case url
    /// `K=V,…`, each V a secret.
    case secretPairs
    case duration
    /// A duration, or the word.
    case durationOr(String)
    case size(ClosedRange<Int>)
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case flag
    case choice([String])
    case list
    case regularExpression

    /// For error messages.
    var allowed: String {
        switch self {
        case .text, .secret, .url, .list: "text"
        case .secretPairs: "NAME=VALUE,…"
        case .duration: "a duration such as 250ms, 5s, 2m, 1h"
        case .durationOr(let word): "\(word), or a duration such as 250ms, 5s, 2m"
        case .size(let range):
            "a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 512KiB, 64MiB, 1GiB"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .flag: "true or false"
        case .choice(let words): words.joined(separator: ", ")
        case .regularExpression: "a regular expression"
        }
    }

    /// Secrets may also come from a file named by the key with `-file` behind it.
    var isSecret: Bool {
        switch self {
        case .secret, .url, .secretPairs: true
        default: false
        }
    }
}

/// One key of the configuration, in all its three forms by one rule:
///
///     file          redis.queues.include      (nested)
///     flag          --redis-queues-include
///     environment   ASYNQ_COLLECTOR_REDIS_QUEUES_INCLUDE
struct ConfigurationKey: Sendable {
    /// What a change of the key takes.
    enum Effect: Sendable {
        case onReload, atStart
    }

    let name: String
    let defaultText: String
    let form: ValueForm
    let effect: Effect
    let help: String

    init(_ name: String, _ form: ValueForm, _ defaultText: String, _ help: String, _ effect: Effect = .atStart) {
        self.name = name
        self.form = form
        self.defaultText = defaultText
        self.help = help
        self.effect = effect
    }

    var flag: String { "--" + String(name.map { $0 == "." ? "-" : $0 }) }

    var environment: String {
        Self.environmentPrefix + String(name.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }

    static let environmentPrefix = "ASYNQ_COLLECTOR_"

    static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// Of one request, in or out, in bytes: it is held in memory whole.
    private static let maxMessage = 256 << 20

    static let logLevels = ["trace", "debug", "info", "notice", "warning", "error"]

    static let defaultBuckets = "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300,600,1800,3600"

    static let all: [ConfigurationKey] = redis + otlp + tempo + spool + metrics + traces

    private static let redis: [ConfigurationKey] = [
        .init(
            "redis.url", .url, "redis://127.0.0.1:6379/0",
            "redis://[user:pass@]host:port/db, redis-sentinel://h1:p1,h2:p2/db?master=NAME, redis-cluster://h1:p1,h2:p2, "
                + "rediss… for TLS, unix:///path?db=0, or none for a pure span sidecar"),
        .init("redis.username", .text, "", "ACL user, overrides the url"),
        .init("redis.password", .secret, "", "overrides the url"),
        .init("redis.sentinel-password", .secret, "", "of the sentinels"),
        .init("redis.tls.ca-file", .text, "", "PEM file of the authorities; the system's without one"),
        .init("redis.tls.cert-file", .text, "", "client certificate"),
        .init("redis.tls.key-file", .text, "", "its key"),
        .init("redis.tls.server-name", .text, "", "expected name"),
        .init("redis.tls.insecure-skip-verify", .flag, "false", "trust any certificate"),
        .init("redis.interval", .duration, "5s", "time between scrapes"),
        .init(
            "redis.look-ahead", .integer(0...100_000), "100",
            "next tasks of each queue that the sampler looks at; 0 = off"),
        .init("redis.look-interval", .durationOr("0"), "1s", "how often the sampler looks; 0 = off"),
        .init("redis.timeout", .duration, "3s", "budget of one whole scrape"),
        .init("redis.queues.include", .regularExpression, "", "only queues that match", .onReload),
        .init("redis.queues.exclude", .regularExpression, "", "no queues that match", .onReload),
        .init("redis.memory-sampling", .durationOr("off"), "off", "interval of MEMORY USAGE sampling, or off"),
    ]

    private static let otlp: [ConfigurationKey] = [
        .init(
            "otlp.socket", .text, "/run/asynq-collector/otlp.sock", "unix socket for spans (@name: abstract), or none"),
        .init("otlp.socket-mode", .text, "0660", "its mode, octal"),
        .init("otlp.socket-group", .text, "", "its group"),
        .init("otlp.listen", .list, "127.0.0.1:4317,127.0.0.1:4318", "TCP addresses for spans, or none"),
        .init("otlp.bearer-token", .secret, "", "required of every OTLP request when set"),
        .init("otlp.cors.allowed-origins", .list, "", "origins whose pages may send spans, or *; for browsers"),
        .init("otlp.cors.allowed-headers", .list, "", "request headers that they may send beside those of OTLP, or *"),
        .init("otlp.max-body", .size(1024...maxMessage), "16MiB", "largest request, after decompression", .onReload),
    ]

    private static let tempo: [ConfigurationKey] = [
        .init(
            "tempo.endpoint", .url, "none",
            "base URL of the trace backend; /v1/traces is appended; none = spans feed the metrics only"),
        .init("tempo.headers", .secretPairs, "", "NAME=VALUE,… sent with each request, such as X-Scope-OrgID=team-a"),
        .init("tempo.compression", .choice(["gzip", "zstd", "none"]), "gzip", "gzip, zstd or none"),
        .init("tempo.timeout", .duration, "10s", "of one request"),
        .init("tempo.tls.ca-file", .text, "", "PEM file of the authorities; the system's without one"),
        .init("tempo.tls.cert-file", .text, "", "client certificate"),
        .init("tempo.tls.key-file", .text, "", "its key"),
        .init("tempo.tls.server-name", .text, "", "expected name"),
        .init("tempo.tls.insecure-skip-verify", .flag, "false", "trust any certificate"),
        .init("tempo.batch.max-bytes", .size(1024...maxMessage), "1MiB", "of one request, before compression"),
        .init("tempo.batch.max-spans", .integer(1...1_000_000), "1000", "of one request"),
        .init("tempo.batch.max-delay", .duration, "200ms", "how long spans wait for company"),
        .init(
            "tempo.drain.max-spans-per-second", .integer(0...1_000_000_000), "0",
            "of what waited in an outage; new spans are sent beside it; 0 = no limit"),
        .init("tempo.retry.initial", .duration, "1s", "first pause after a failure"),
        .init("tempo.retry.max", .duration, "30s", "longest pause"),
    ]

    private static let spool: [ConfigurationKey] = [
        .init("spool.directory", .text, "/var/lib/asynq-collector", "the crash-safe queue; one process per directory"),
        .init("spool.max-bytes", .size(1 << 20...1 << 50), "1GiB", "on disk", .onReload),
        .init("spool.max-age", .durationOr("none"), "none", "older spans are dropped, counted", .onReload),
        .init(
            "spool.when-full", .choice(["refuse", "drop-oldest"]), "refuse",
            "refuse (429, the sender retries) or drop-oldest", .onReload),
        .init("spool.sync", .text, "200ms", "always (before the acknowledgement), an interval, or never"),
    ]

    private static let metrics: [ConfigurationKey] = [
        .init(
            "metrics.listen", .text, "127.0.0.1:9876",
            "host:port or unix:///path of /metrics, the status page and the API"),
        .init("metrics.wait-buckets", .list, defaultBuckets, "upper bounds in seconds"),
        .init(
            "metrics.task-types", .integer(0...100_000), "200",
            "distinct task types per queue before _other; 0 = no label",
            .onReload),
        .init(
            "metrics.queues-max", .integer(1...1_000_000), "1000", "queues only named by spans before _other", .onReload
        ),
        .init("metrics.asynqmon-names", .flag, "false", "also the names of Asynq's own exporter, on the text page"),
        .init(
            "metrics.quantile-window", .duration, "5m",
            "window of the quantile gauges, and of what autoscalers are told"),
        .init(
            "scale.target-utilization", .number(0.01...1), "0.8",
            "share of the time that /api/v1/scale wants workers busy"),
        .init(
            "wait.attributes", .list, "",
            "NAME:UNIT,… attributes that measure the wait; unit s, ms, us or ns; replaces the built-in names"),
    ]

    private static func list(_ names: KeyPath<TaskContextKeys, [String]>) -> String {
        TaskContextKeys()[keyPath: names].joined(separator: ",")
    }

    private static let traces: [ConfigurationKey] = [
        .init("traces.dead-letter-span", .flag, "false", "add a span for each task that dies, in its trace"),
        .init("traces.wait-span", .flag, "false", "add a span for the time in the queue"),
        .init(
            "traces.relink", .choice(["true", "false", "parent"]), "true",
            "restore missing trace context of process spans from Redis, as a link, or as the parent of lone root spans"),
        .init(
            "traces.lookup-timeout", .duration, "100ms",
            "how long an acknowledgement waits at most for what Redis knows of a task"),
        .init(
            "traces.context.traceparent", .list, list(\.traceParent),
            "where tasks carry it: names of headers, dotted paths in JSON payloads"),
        .init("traces.context.tracestate", .list, list(\.traceState), "likewise"),
        .init("traces.context.trace-id", .list, list(\.traceID), "likewise, in hex, where there is no traceparent"),
        .init("traces.context.span-id", .list, list(\.spanID), "likewise"),
        .init("traces.context.enqueued-at", .list, list(\.enqueuedAt), "likewise: when the task was enqueued"),
        .init(
            "traces.context.process-at", .list, list(\.processAt),
            "likewise: when a task that was scheduled ahead is due"),
        .init("log.level", .choice(logLevels), "info", "least severity that is logged", .onReload),
        .init("log.format", .choice(["auto", "json", "text"]), "auto", "auto = text on a terminal, else json"),
        .init("external-url.grafana", .url, "", "base URL of Grafana: makes trace links on the status page"),
        .init("external-url.tempo-datasource", .text, "", "uid of the Tempo data source in Grafana; tempo without one"),
    ]
}
