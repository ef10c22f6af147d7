import AsynqRedis
import Forwarder
import HTTPService
package import Logging
import OTLP
import Redis
import SpanReceiver
import Spool
import WaitTime
import Web

/// The configuration as the parts of the collector take it.
package struct CollectorOptions: Sendable {
    /// nil with `redis.url: none`.
    var redis: RedisMonitorOptions?
    var otlpListen: [ListenAddress]
    var otlpSocket: UnixSocketOptions
    var receiver: ReceiverOptions
    var waitAttributes: [TaskAttributeTable.WaitAttribute]
    /// nil with `tempo.endpoint: none`.
    var forwarder: ForwarderOptions?
    var spoolDirectory: String
    var spool: SpoolOptions
    var metricsListen: ListenAddress
    var aggregator: TaskAggregatorOptions
    /// Also the names of Asynq's own exporter, on the text page.
    var hasAsynqmonNames: Bool
    /// Share of the time that workers are to be busy, above 0 and at most 1.
    var targetUtilization: Double
    var relink: RelinkMode
    var lookupTimeoutNanoseconds: UInt64
    var addsDeadLetterSpans: Bool
    var traceLinks: TraceLinks
    package var logLevel: Logger.Level
    package var logFormat: LogFormat
}

package enum LogFormat: Sendable {
    case auto
    case json
    case text
}
