import Forwarder
import Model
import SpanReceiver
import Spool

/// Where accepted spans go: first to the spool, then to the metrics. Without a trace backend there is no spool, and the
/// spans feed the metrics only.
struct IngestSink: SpanSink {
    let taskMetrics: TaskMetrics
    let spool: Spool?
    let forwarder: Forwarder?

    var acknowledgesAfterSync: Bool { spool?.options.sync == .always }

    func take(_ spans: AcceptedSpans, whenDurable: (@Sendable (Bool) -> Void)?) throws(SinkRefusal) {
        if let spool {
            do throws(SpoolError) {
                try spool.append(spans.payload, spanCount: spans.spanCount, whenDurable: whenDurable)
            } catch {
                throw SinkRefusal(error)
            }
            forwarder?.noteAppended()
        }
        taskMetrics.observe(spans.taskSpans, in: spans.scanned, areForwarded: spool != nil)
    }
}

extension SinkRefusal {
    /// Errors of the disk pass: the sender keeps the spans and tries again.
    fileprivate init(_ error: SpoolError) {
        switch error {
        case .full: self = .full(error.description)
        case .frameTooLarge: self = .tooLarge(error.description)
        case .io, .locked, .closed: self = .unavailable(error.description)
        }
    }
}
