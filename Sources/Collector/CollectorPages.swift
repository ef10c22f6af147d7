import AsynqRedis
import Attention
package import Metrics
import Model
import Platform
import Redis
import Spool
package import Web

/// The answers of the web endpoints about metrics, health and queues.
extension Collector: WebState {
    package func metricsPage(_ format: PageFormat) -> any MetricsPage { RegistryPage(registry.page(format)) }

    /// The time that a part may be late before liveness probes have the process restarted.
    private static let patience = Duration.seconds(10)

    package func unhealthyReason() -> String? {
        let missing = lifeSigns.missing(at: clock.monotonic(), patience: Self.patience)
        return missing.isEmpty ? nil : "does not move: \(missing.joined(separator: ", "))"
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

    package func overview(since: Int64?) -> CachedDocument {
        let state = judgedState
        let key = "overview \(since.map(String.init) ?? "")"
        return documents.document(key, version: state.version, at: clock.monotonic()) {
            OverviewDocument.json(content(of: state), since: since)
        }
    }

    package func queue(named name: [UInt8]) -> CachedDocument? {
        let state = judgedState
        let name = knownQueue(name)
        return documents.existing("queue " + name.printable, version: state.version, at: clock.monotonic()) {
            let details = aggregator.details(of: name)
            return QueueDocument.json(
                content(of: state), name, retries: redis?.monitor.knownRetries(of: name), taskTypes: details.taskTypes,
                slowestWaits: details.slowestWaits)
        }
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

    var newestDeadLetters: [DeadLetter] { errors.withTraces(redis?.monitor.newestDeadLetters ?? []) }

    var forwarderState: String { tempo?.forwarderState ?? "off (tempo.endpoint is none)" }

    /// The spans that were received since the start, and their fate; nil while the spool's disk hangs.
    var spanTotals: SpanTotals? {
        Books.read(counters, tempo?.spool)?.totals(duplicates: aggregator.duplicates)
    }
}

/// A page of the registry, for the web endpoints.
private final class RegistryPage: MetricsPage {
    private var reader: PageReader

    init(_ reader: consuming PageReader) {
        self.reader = reader
    }

    func next(_ sink: (UnsafeRawBufferPointer) -> Void) -> Bool { reader.next(sink) }
}
