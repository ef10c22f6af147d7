import HTTPService
import Metrics
import OTLP
import WaitTime
import Web

/// `metrics.*`, and what is measured: the web endpoints and their numbers.
struct MetricsKeys: KeySection {
    static let title = "Metrics"
    static let page = "docs/METRICS.md"

    let listen = Key(
        "metrics.listen", .listenAddresses(orNone: true), default: "127.0.0.1:9876", example: ":9876",
        help: """
            The addresses of /metrics, the status page, /api/v1 and the health checks. Prometheus has to reach one: :9876 is every \
            address of the machine, IPv6 and IPv4; unix:///path is a socket. none turns all of them off; push metrics instead.
            """,
        page: "docs/RECEIVING.md#addresses")
    let username = Key(
        "metrics.username", .text, default: "", example: "prometheus",
        help: """
            The user that every web endpoint but the health checks asks for, by HTTP basic authentication, with metrics.password.
            """,
        page: "docs/SECURITY.md#who-may-read-the-web-endpoints")
    let password = Key(
        "metrics.password", .secret, default: "", example: "swordfish",
        help: "The password of metrics.username. Keep it in a file, named by metrics.password-file.",
        page: "docs/SECURITY.md#who-may-read-the-web-endpoints")
    let bearerToken = Key(
        "metrics.bearer-token", .bearerToken, default: "", example: "swordfish",
        help: """
            The token that every web endpoint but the health checks asks for; with metrics.username set too, either will do.
            """,
        page: "docs/SECURITY.md#who-may-read-the-web-endpoints")
    let pages = Key(
        "metrics.pages", .flag, default: "true", example: "false",
        help: """
            Serves the status page and /api/v1. Set false where a reachable port is to have /metrics and the health checks only.
            """,
        page: "docs/SECURITY.md#who-may-read-the-web-endpoints")
    let allowedHosts = Key(
        "metrics.allowed-hosts", .hostNames, default: "", example: "collector.example.com,*.svc",
        help: """
            The names under which browsers and autoscalers reach the status page and /api/v1, as in the header Host; \
            *.example.com for subdomains, * for all. Addresses, localhost and the names in metrics.listen \
            are always allowed.
            """,
        page: "docs/SECURITY.md#who-may-read-the-web-endpoints")
    let waitBuckets = Key(
        "metrics.wait-buckets", .buckets,
        default: "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300,600,1800,3600", example: "0.1,1,10,60",
        help: """
            The upper bounds, in seconds, of the classic buckets of waits. Have a bound at each wait objective; fewer bounds are \
            fewer series.
            """,
        page: "docs/METRICS.md#series")
    let runTimeBuckets = Key(
        "metrics.run-time-buckets", .buckets, default: "0.005,0.025,0.1,0.5,2.5,10,60,300,1800",
        example: "0.01,0.1,1,10,60",
        help: """
            The upper bounds, in seconds, of the classic buckets of run times, of which a task type has one set for completed \
            attempts and one for failed ones. Add bounds where run times lie close together; native histograms need none.
            """,
        page: "docs/METRICS.md#series")
    let histogramSeriesMax = Key(
        "metrics.histogram-series-max", .integer(1000...100_000_000), default: "30000", example: "100000",
        help: """
            The series that the histograms by queue and task type may have on one page. Beyond it each second classic bucket is left \
            out, or three of four, and so on; that of 10 s stays. Native histograms stay whole.
            """,
        page: "docs/METRICS.md#series")
    let taskTypes = Key(
        "metrics.task-types", .integer(0...100_000), default: "200", example: "50",
        help: """
            The number of distinct task types in each queue that get a label of their own; more are counted as _other. 0 leaves the \
            label out.
            """,
        isReloadable: true, page: "docs/METRICS.md#from-spans")
    let errorTypes = Key(
        "metrics.error-types", .integer(0...10_000), default: "20", example: "50",
        help: """
            The number of distinct error types in each queue and task type that get a label of their own; more are counted as _other. \
            0 leaves asynq_task_failures_total out.
            """,
        isReloadable: true, page: "docs/METRICS.md#from-spans")
    let queuesMax = Key(
        "metrics.queues-max", .integer(1...1_000_000), default: "1000", example: "100",
        help: """
            The number of queues known from spans alone that get a label of their own; more are counted as _other. Queues that Redis \
            knows do not count.
            """,
        isReloadable: true, page: "docs/METRICS.md#from-spans")
    let asynqmonNames = Key(
        "metrics.asynqmon-names", .flag, default: "false", example: "true",
        help: """
            Adds the names of Asynq's own exporter to the page in the text format 0.0.4, so that dashboards built for it and \
            asynqmon's charts go on working.
            """,
        page: "docs/METRICS.md#coming-from-asynqs-exporter-or-asynqmon")
    let quantileWindow = Key(
        "metrics.quantile-window", .duration(), default: "5m", example: "15m",
        help: """
            How far back the quantile gauges, the status page and /api/v1/scale look. A longer window is calmer and slower to show a \
            change.
            """,
        page: "docs/METRICS.md#from-spans")
    let push = PushKeys()
    let targetUtilization = Key(
        "scale.target-utilization", .number(0.01...1), default: "0.8", example: "0.6",
        help: """
            The share of the time that workers are to be busy, for the number of workers that /api/v1/scale asks for. Lower it for \
            shorter waits and more workers.
            """,
        page: "docs/SCALING.md#the-formula")
    let waitAttributes = Key(
        "wait.attributes", .waitAttributes, default: "", example: "job.queue_time:ms",
        help: """
            Span attributes that hold a measured wait, as NAME:UNIT with unit s, ms, us or ns. They replace the built-in names.
            """,
        page: "docs/INSTRUMENTING.md#what-makes-waits-exact")
    let waitProcessAt = Key(
        "wait.process-at", .flag, default: "true", example: "false",
        help: """
            Counts waits of scheduled tasks that are known from process_at alone; they hold up to 5 s of Asynq's forwarder. Set false \
            where an objective of a few seconds suffers from it.
            """,
        page: "docs/INSTRUMENTING.md#scheduled-tasks")
}

extension TaskAggregatorOptions {
    init(_ settings: Settings, isForwarding: Bool, keepsTraces: Bool, _ memory: MemoryLedger) {
        self.init(
            bounds: settings[\.metrics.waitBuckets], maxTaskTypes: settings[\.metrics.taskTypes],
            maxQueues: settings[\.metrics.queuesMax],
            quantileWindow: settings[\.metrics.quantileWindow])
        runBounds = settings[\.metrics.runTimeBuckets]
        maxHistogramSeries = settings[\.metrics.histogramSeriesMax]
        maxErrorTypes = settings[\.metrics.errorTypes]
        collectsWaits = isForwarding && settings[\.traces.waitSpan]
        self.keepsTraces = keepsTraces
        countsProcessAtWaits = settings[\.metrics.waitProcessAt]
        // The rest is for names that Redis tells (RedisLabelBudget).
        maxSeriesBytes = memory[.labels] * 7 / 8
        divide(memory[.pairing])
    }
}

extension MetricsKeys {
    static let rules =
        BackendKeys.rules(\.metrics.push.backend, tls: \.metrics.push.backend.tls) + [
            SettingRule.refuse(\.metrics.username, is: "a user name holds no colon") { settings in
                settings[\.metrics.username]?.contains(":") ?? false
            },
            SettingRule.refuse(\.metrics.username, is: "needs metrics.password") { settings in
                settings[\.metrics.username] != nil && settings[\.metrics.password] == nil
            },
            SettingRule.refuse(\.metrics.password, is: "needs metrics.username") { settings in
                settings[\.metrics.username] == nil && settings[\.metrics.password] != nil
            },
        ]
}

extension WebAccess {
    init(_ settings: Settings) {
        func reread(_ path: KeyPath<KeyTable, Key<String?>>) -> (@Sendable () -> String?)? {
            settings.secret(path).map { file in { @Sendable in file.current } }
        }
        let username = settings[\.metrics.username] ?? ""
        let names = settings[\.metrics.listen].compactMap { address in
            if case .tcp(let host, _) = address { host } else { nil }
        }
        self.init(
            credentials: settings[\.metrics.password].map {
                BasicCredentials(username: username, password: $0, reread: reread(\.metrics.password))
            },
            token: settings[\.metrics.bearerToken].map {
                BearerToken(RequestSecret($0, reread: reread(\.metrics.bearerToken)))
            },
            hasPages: settings[\.metrics.pages], hosts: AllowedHosts(settings[\.metrics.allowedHosts] + names))
    }
}

extension ValueForm where Value == [String] {
    /// Reads values of the header `Host`, without their ports.
    fileprivate static var hostNames: Self {
        let allowed = "a name as in the header Host, *.name for its subdomains, or *"
        return Self(.addresses(allowed: allowed)) { text throws(UnacceptableText) in
            let names = ValueParsing.list(text)
            let wrong = names.filter { !AllowedHosts.isName($0) }
            if !wrong.isEmpty {
                throw UnacceptableText(
                    wrong.map { "\(EffectiveConfiguration.shownAddresses($0)): allowed is \(allowed)" })
            }
            return names
        }
    }
}

extension ValueForm where Value == HistogramBounds {
    fileprivate static var buckets: Self {
        let allowed = "1 to 100 ascending numbers of seconds"
        return Self(.list(allowed: allowed)) { text throws(UnacceptableText) in
            let texts = ValueParsing.list(text)
            let values = texts.compactMap { Double($0) }
            guard values.count == texts.count, (1...100).contains(values.count), let bounds = HistogramBounds(values)
            else { throw UnacceptableText("allowed are \(allowed)") }
            return bounds
        }
    }
}

extension ValueForm where Value == [TaskAttributeTable.WaitAttribute] {
    /// Reads the names of attributes; without any, the built-in names count.
    fileprivate static var waitAttributes: Self {
        let allowed = "NAME:UNIT with unit s, ms, us or ns, at most 100 of them"
        return Self(.list(allowed: allowed)) { text throws(UnacceptableText) in
            let texts = ValueParsing.list(text)
            if texts.isEmpty { return TaskAttributeTable.defaultWaitAttributes }
            var attributes: [TaskAttributeTable.WaitAttribute] = []
            var problems: [String] = []
            for text in texts {
                let colon = text.lastIndex(of: ":") ?? text.endIndex
                let unit = TaskAttributeTable.WaitAttribute.Unit(rawValue: String(text[colon...].dropFirst()))
                if let unit, colon > text.startIndex, attributes.count < 100 {
                    attributes.append(.init(name: String(text[..<colon]), unit: unit))
                } else {
                    problems.append("\(EffectiveConfiguration.shownText(text)): allowed is \(allowed)")
                }
            }
            if !problems.isEmpty { throw UnacceptableText(problems) }
            return attributes
        }
    }
}
