import AsynqRedis
import Forwarder
import Model
import OTLP
import SpanReceiver
import Spool
import WaitTime

/// The destination of accepted spans: first the spool, then the metrics. Without a trace backend there is no spool, and
/// the spans feed the metrics, the errors and the recent traces only.
struct IngestSink: SpanSink {
    let aggregator: LockedAggregator
    /// The tasks that were seen; nil without Redis.
    let seenTasks: SeenTasks?
    /// The spool; nil without a trace backend, like `forwarder`.
    let spool: Spool?
    let forwarder: Forwarder?
    /// The errors of the last hour; nil where they are of no interest.
    var errors: RecentErrors?
    /// The newest spans; nil where none are kept in memory.
    var recentTraces: RecentTraces?

    var acknowledgesAfterSync: Bool { spool?.options.sync == .always }

    func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, confirm: () -> Bool,
        whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) {
        guard let spool else {
            guard confirm() else { throw SinkRefusal(.unavailable, "the sender was refused meanwhile") }
            recentTraces?.append(payload, spanCount: spanCount)
            return
        }
        do throws(SpoolError) {
            // With `always`, there is something to read only then.
            try spool.append(
                payload, spanCount: spanCount,
                whenDurable: { [forwarder] isDurable in
                    if isDurable { forwarder?.recordAppend() }
                    whenDurable?(isDurable)
                }, confirm: confirm)
        } catch {
            throw SinkRefusal(error)
        }
        forwarder?.recordAppend()
        recentTraces?.append(payload, spanCount: spanCount)
    }

    func observe(_ taskSpans: [TaskSpan], in body: UnsafeRawBufferPointer) -> [MadeRequest] {
        if taskSpans.isEmpty { return [] }
        let observed = aggregator.observe(taskSpans, in: body, areForwarded: spool != nil)
        seenTasks?.use(taskSpans, except: observed.repeated)
        if !observed.failed.isEmpty { errors?.recordAttempts(observed.failed, in: body) }
        return MadeRequest.requests(observed.waits.map { MadeSpan(wait: $0) })
    }
}

extension SinkRefusal {
    /// Errors of the disk pass: the sender keeps the spans and tries again.
    fileprivate init(_ error: SpoolError) {
        let reason: RefusalReason =
            switch error {
            case .full: .spoolFull
            case .frameTooLarge: .tooLarge
            case .io, .locked, .closed, .sequencesUsedUp: .unavailable
            }
        self.init(reason, error.description)
    }
}
