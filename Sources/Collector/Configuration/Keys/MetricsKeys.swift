import HTTPService
import Metrics
import OTLP
import WaitTime

/// `metrics.*`, and what is measured: the web endpoints and their numbers.
struct MetricsKeys: KeySection {
    static let title = "Metrics"

    let listen = Key(
        "metrics.listen", .listenAddresses(orNone: false), default: "127.0.0.1:9876", example: ":9876",
        help: "addresses of /metrics, the status page and the API; :9876 is every address, IPv6 and IPv4")
    let waitBuckets = Key(
        "metrics.wait-buckets", .buckets,
        default: "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300,600,1800,3600", example: "0.1,1,10,60",
        help: "upper bounds in seconds")
    let taskTypes = Key(
        "metrics.task-types", .integer(0...100_000), default: "200", example: "50",
        help: "distinct task types per queue before _other; 0 = no label", isReloadable: true)
    let errorTypes = Key(
        "metrics.error-types", .integer(0...10_000), default: "20", example: "50",
        help: "distinct error types per queue and task type before _other; 0 = no asynq_task_failures_total",
        isReloadable: true)
    let queuesMax = Key(
        "metrics.queues-max", .integer(1...1_000_000), default: "1000", example: "100",
        help: "queues only named by spans before _other", isReloadable: true)
    let asynqmonNames = Key(
        "metrics.asynqmon-names", .flag, default: "false", example: "true",
        help: "also the names of Asynq's own exporter, on the text page")
    let quantileWindow = Key(
        "metrics.quantile-window", .duration(), default: "5m", example: "15m",
        help: "window of the quantile gauges, and of what autoscalers are told")
    let targetUtilization = Key(
        "scale.target-utilization", .number(0.01...1), default: "0.8", example: "0.6",
        help: "share of the time that /api/v1/scale wants workers busy")
    let waitAttributes = Key(
        "wait.attributes", .waitAttributes, default: "", example: "job.queue_time:ms",
        help: "NAME:UNIT,… attributes that measure the wait; unit s, ms, us or ns; replaces the built-in names")
    let waitProcessAt = Key(
        "wait.process-at", .flag, default: "true", example: "false",
        help:
            "count waits of scheduled tasks that are known from process_at only: up to 5 s of Asynq's forwarder are in them"
    )
}

extension TaskAggregatorOptions {
    init(_ settings: Settings, isForwarding: Bool) {
        self.init(
            bounds: settings[\.metrics.waitBuckets], maxTaskTypes: settings[\.metrics.taskTypes],
            maxQueues: settings[\.metrics.queuesMax],
            quantileWindow: settings[\.metrics.quantileWindow])
        maxErrorTypes = settings[\.metrics.errorTypes]
        collectsWaits = isForwarding && settings[\.traces.waitSpan]
        countsProcessAtWaits = settings[\.metrics.waitProcessAt]
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
    /// Without any, the built-in names.
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
                    problems.append("\(text): allowed is \(allowed)")
                }
            }
            if !problems.isEmpty { throw UnacceptableText(problems) }
            return attributes
        }
    }
}
