import AsynqRedis
import Forwarder
import Model
import OTLP
import SpanReceiver
import Spool
import WaitTime

/// Where accepted spans go: first to the spool, then to the metrics. Without a trace backend there is no spool, and the
/// spans feed the metrics only.
struct IngestSink: SpanSink {
    let aggregator: LockedAggregator
    /// nil without Redis.
    let seenTasks: SeenTasks?
    /// nil without a trace backend, like `forwarder`.
    let spool: Spool?
    let forwarder: Forwarder?

    var acknowledgesAfterSync: Bool { spool?.options.sync == .always }

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        guard let spool else { return }
        do throws(SpoolError) {
            // With `always`, only then is there something to be read.
            try spool.append(payload, spanCount: spanCount) { [forwarder] isDurable in
                if isDurable { forwarder?.noteAppended() }
                whenDurable?(isDurable)
            }
        } catch {
            throw SinkRefusal(error)
        }
        forwarder?.noteAppended()
    }

    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] {
        if taskSpans.isEmpty { return [] }
        let (waits, repeated) = aggregator.observe(taskSpans, in: body, areForwarded: spool != nil)
        seenTasks?.use(taskSpans, except: repeated)
        return MadeRequest.requests(waits.map { MadeSpan(wait: $0) })
    }
}

extension SinkRefusal {
    /// Errors of the disk pass: the sender keeps the spans and tries again.
    fileprivate init(_ error: SpoolError) {
        let reason: RefusalReason =
            switch error {
            case .full: .spoolFull
            case .frameTooLarge: .tooLarge
            case .io, .locked, .closed: .unavailable
            }
        self.init(reason, error.description)
    }
}
