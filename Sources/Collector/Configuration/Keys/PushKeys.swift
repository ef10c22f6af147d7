import Metrics
import MetricsPush
import OTLPClient

/// `metrics.push.*`: the families of the page as OTLP metrics, for networks in which nothing can scrape.
struct PushKeys: Sendable {
    private static let page = "docs/PUSHING.md"

    let backend = BackendKeys(
        .metrics,
        BackendKeys.Texts(
            endpointExample: "http://prometheus:9090/api/v1/otlp",
            endpointHelp: """
                The base URL of a backend that takes metrics by OTLP/HTTP; /v1/metrics is appended unless it ends so. The families of \
                /metrics are pushed to it. With none, nothing is pushed.
                """,
            timeoutHelp:
                "The time that one push may take. Then it counts as failed; the next one has newer numbers.",
            page: page))
    let interval = Key(
        "metrics.push.interval", .duration(atLeast: .milliseconds(100)), default: "30s", example: "1m",
        help: """
            The time between two pushes. The first one comes after five seconds at the latest; at the end of the process the last \
            numbers are pushed.
            """,
        page: page)
    let resource = Key(
        "metrics.push.resource", .attributes, default: "", example: "deployment.environment.name=prod,redis=shop",
        help: """
            Attributes of the resource, as NAME=VALUE,…, beside service.name, service.instance.id, service.version and host.name, \
            whose values they replace. Give each collector another service.instance.id where hosts have no names, or share one.
            """,
        page: page + "#the-resource")
    let temporality = Key<OTLPMetrics.Temporality>(
        "metrics.push.temporality", .choice(["cumulative": .cumulative, "delta": .delta]), default: "cumulative",
        example: "delta",
        help: """
            What counters and histograms say: cumulative, all since the start, as Prometheus wants it; delta, what came since the push \
            that was acknowledged last.
            """,
        page: page + "#delta")
    let histograms = Key<OTLPMetrics.HistogramForm>(
        "metrics.push.histograms",
        .choice(["exponential": .exponential, "explicit": .explicit, "both": .both]), default: "exponential",
        example: "both",
        help: """
            The buckets of histograms: exponential, which become native histograms in Prometheus; explicit, those of \
            metrics.wait-buckets, which the shipped rules for the wait objective need; or both.
            """,
        page: page + "#histograms")
}

extension MetricsPushOptions? {
    /// - Throws: `ConfigurationProblems` where the endpoint does not go with the server name of TLS.
    init(_ settings: Settings, _ memory: MemoryLedger) throws(ConfigurationProblems) {
        guard let backend = try OTLPBackend?(settings, \.metrics.push.backend) else {
            self = nil
            return
        }
        self = MetricsPushOptions(
            backend, interval: settings[\.metrics.push.interval], temporality: settings[\.metrics.push.temporality],
            histograms: settings[\.metrics.push.histograms],
            attributes: settings[\.metrics.push.resource], memoryBytes: memory[.pushes])
    }
}

extension ValueForm where Value == [(name: String, value: String)] {
    /// Reads attributes of a resource; a name may be given once.
    fileprivate static var attributes: Self {
        Self(.pairs) { text throws(UnacceptableText) in
            let pairs = try HeaderPairs.parse(text, names: .attributes)
            if Set(pairs.map(\.name)).count < pairs.count {
                throw UnacceptableText("a name is given twice; allowed is \(ValueKind.pairs.allowed)")
            }
            return pairs
        }
    }
}
