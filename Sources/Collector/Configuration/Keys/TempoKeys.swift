import Forwarder
import OTLPClient

/// `tempo.*`: the destination of spans, and their portions.
struct TempoKeys: KeySection {
    static let title = "Trace backend"
    static let page = "docs/FORWARDING.md"

    let backend = BackendKeys(
        .traces,
        BackendKeys.Texts(
            endpointExample: "http://tempo:4318",
            endpointHelp: """
                The base URL of Tempo, or of another backend that takes OTLP/HTTP; /v1/traces is appended unless it ends so. With none, \
                spans feed the metrics and are not kept.
                """,
            timeoutHelp: "The time that one request may take. Then it counts as failed, and is sent again.",
            page: "docs/FORWARDING.md"))
    let batchMaxBytes = Key(
        "tempo.batch.max-bytes", .size(1024...largestRequest), default: "1MiB", example: "512KiB",
        help: "The largest request, before compression. Stay below the backend's own limit.")
    let batchMaxSpans = Key(
        "tempo.batch.max-spans", .integer(1...1_000_000), default: "1000", example: "500",
        help: "The largest number of spans in one request. Tempo digests 500 to 1000 best.")
    let batchMaxDelay = Key(
        "tempo.batch.max-delay", .duration(), default: "200ms", example: "1s",
        help: "How long a new span waits for others to fill its request.", page: "docs/FORWARDING.md#after-an-outage")
    let drainMaxSpansPerSecond = Key(
        "tempo.drain.max-spans-per-second", .integer(0...1_000_000_000), default: "0", example: "5000",
        help: """
            How many spans a second of what an outage left are sent, beside the new ones; 0 is no limit. Set one where the backlog \
            overloads a backend that has just come back.
            """,
        page: "docs/FORWARDING.md#after-an-outage")
    let retryInitial = Key(
        "tempo.retry.initial", .duration(), default: "1s", example: "500ms",
        help:
            "The first pause after a request that failed. It doubles with each failure, with jitter; Retry-After wins.",
        page: "docs/FORWARDING.md#what-an-answer-leads-to")
    let retryMax = Key(
        "tempo.retry.max", .duration(), default: "30s", example: "1m",
        help: "The longest pause between two tries. Requests are tried until the backend accepts or rejects them.",
        page: "docs/FORWARDING.md#what-an-answer-leads-to")

    static let rules = BackendKeys.rules(\.tempo.backend, tls: \.tempo.backend.tls)
}

extension ForwarderOptions? {
    /// Makes the options.
    /// - Throws: `ConfigurationProblems` where the endpoint does not go with the server name of TLS.
    init(_ settings: Settings, _ memory: MemoryLedger) throws(ConfigurationProblems) {
        guard let backend = try OTLPBackend?(settings, \.tempo.backend) else {
            self = nil
            return
        }
        let retryInitial = settings[\.tempo.retryInitial]
        var options = ForwarderOptions(
            backend,
            maxBatchBytes: settings[\.tempo.batchMaxBytes],
            maxBatchSpans: settings[\.tempo.batchMaxSpans],
            maxDelay: settings[\.tempo.batchMaxDelay],
            maxDrainSpansPerSecond: settings[\.tempo.drainMaxSpansPerSecond],
            retryInitial: retryInitial,
            retryMax: max(settings[\.tempo.retryMax], retryInitial))
        options.maxBytesInFlight = memory[.deliveries]
        options.refused = RefusedRequestsOptions(
            spoolDirectory: settings[\.spool.directory], spoolBytes: settings[\.spool.maxBytes])
        self = options
    }
}
