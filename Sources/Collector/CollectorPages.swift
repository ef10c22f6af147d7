import AsynqRedis
package import Metrics
import Model
import Platform
import Redis
import Spool
package import Web

/// What the web endpoints show.
extension Collector: WebState {
    package func writeMetricsPage(_ format: PageFormat, to sink: (UnsafeRawBufferPointer) -> Void) {
        registry.encodePage(format, to: sink)
    }

    package func unreadyReason() -> String? {
        if let listenerProblem { return listenerProblem }
        if let tempo {
            guard let statistics = tempo.spool.statistics(patience: Books.patience) else {
                return "the spool's disk does not answer"
            }
            if let failure = statistics.lastFailure { return "the spool can't be written: \(failure)" }
        }
        if let redis, redis.monitor.current.attempts == 0 { return "Redis has not been tried yet" }
        return nil
    }

    package func statusPage() -> [UInt8] {
        var content = StatusContent(
            version: BuildInfo.version, redis: queries.reading, spans: spanTotals, forwarderState: forwarderState,
            links: options.traceLinks, now: (clock.wall(), clock.monotonic()))
        content.redisURL = options.redis?.target.url
        content.rows = queries.rows
        content.history = history.all
        content.deadLetters = newestDeadLetters
        content.slowestWaits = aggregator.slowestWaits
        return StatusPage.html(content)
    }

    package func deadLetters() -> [UInt8] { QueueDocuments.deadLetters(newestDeadLetters) }

    package func queues() -> QueuesReply {
        let rows = queries.rows
        if rows.isEmpty, let reason = queries.reading.unreadReason { return .unread(reason) }
        return .list(QueueDocuments.queues(rows))
    }

    package func scale(ofQueue name: [UInt8]) -> ScaleReply {
        let name = QueueName(name)
        return switch queries.scale(of: name) {
        case .advice(let advice): .advice(QueueDocuments.scale(advice, of: name))
        case .unknownQueue: .unknownQueue
        case .stale(let reason): .stale(reason)
        }
    }

    private var newestDeadLetters: [DeadLetter] { redis?.monitor.newestDeadLetters ?? [] }

    var forwarderState: String { tempo?.forwarderState ?? "off (tempo.endpoint is none)" }

    /// Spans received since the start and what became of them; nil while the spool's disk hangs.
    var spanTotals: SpanTotals? { Books.read(counters, tempo?.spool)?.totals }
}
