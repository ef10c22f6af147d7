import AsynqRedis
import Forwarder
import HTTPService
package import Logging
import MetricsPush
import OTLP
import Redis
import SpanReceiver
import Spool
import WaitTime
import Web

/// The configuration as the parts of the collector take it. The options of each part are made beside its keys.
package struct CollectorOptions: Sendable {
    /// The options of Redis; nil with `redis.url: none`.
    var redis: RedisMonitorOptions?
    /// The keys that name listeners for spans, and their addresses.
    var otlpListen: [(key: String, addresses: [ListenAddress])]
    var otlpSocket: UnixSocketOptions
    var receiver: ReceiverOptions
    var waitAttributes: [TaskAttributeTable.WaitAttribute]
    /// The options of the forwarder; nil with `tempo.endpoint: none`.
    var forwarder: ForwarderOptions?
    var spoolDirectory: String
    var spool: SpoolOptions
    var metricsListen: [ListenAddress]
    var webAccess: WebAccess
    /// The options of pushing; nil with `metrics.push.endpoint: none`.
    var push: MetricsPushOptions?
    var aggregator: TaskAggregatorOptions
    /// True if the text page has the names of Asynq's own exporter as well.
    var hasAsynqmonNames: Bool
    /// The share of the time that workers are to be busy, above 0 and at most 1.
    var targetUtilization: Double
    var relink: RelinkMode
    var lookupTimeout: Duration
    var addsDeadLetterSpans: Bool
    var memory: MemoryLedger
    var traceLinks: TraceLinks
    /// The time for which listeners stay open after SIGTERM.
    var linger: Duration
    package var logLevel: Logger.Level
    package var logFormat: LogFormat
    var secretReports: SecretReports
}

extension CollectorOptions {
    /// - Throws: `ConfigurationProblems`: all of them, of single keys and of rules between them.
    init(_ settings: Settings) throws(ConfigurationProblems) {
        try settings.check()
        let memory = try MemoryLedger(settings)
        let forwarder = try ForwarderOptions?(settings, memory)
        let keepsTraces = memory[.recentSpans] > 0
        self.init(
            redis: RedisMonitorOptions?(settings, memory),
            otlpListen: [
                ("otlp.socket", [settings[\.otlp.socket]].compactMap(\.self)), ("otlp.listen", settings[\.otlp.listen]),
            ],
            otlpSocket: UnixSocketOptions(mode: settings[\.otlp.socketMode], group: settings[\.otlp.socketGroup]),
            receiver: ReceiverOptions(settings, memory),
            waitAttributes: settings[\.metrics.waitAttributes],
            forwarder: forwarder,
            spoolDirectory: settings[\.spool.directory],
            spool: SpoolOptions(settings),
            metricsListen: settings[\.metrics.listen],
            webAccess: WebAccess(settings),
            push: try MetricsPushOptions?(settings, memory),
            aggregator: TaskAggregatorOptions(
                settings, isForwarding: forwarder != nil, keepsTraces: keepsTraces, memory),
            hasAsynqmonNames: settings[\.metrics.asynqmonNames],
            targetUtilization: settings[\.metrics.targetUtilization],
            relink: settings[\.traces.relink],
            lookupTimeout: settings[\.traces.lookupTimeout],
            addsDeadLetterSpans: settings[\.traces.deadLetterSpan],
            memory: memory,
            traceLinks: TraceLinks(
                grafana: settings[\.externalURL.grafana] ?? "",
                dataSource: settings[\.externalURL.tempoDataSource] ?? "", hasOwnPage: keepsTraces),
            linger: settings[\.shutdown.linger],
            logLevel: settings[\.log.level],
            logFormat: settings[\.log.format],
            secretReports: settings.secretReports)
    }
}

package enum LogFormat: Sendable {
    case auto
    case json
    case text
}
