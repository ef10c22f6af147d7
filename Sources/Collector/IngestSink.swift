import Forwarder
import Model
import OTLP
import SpanReceiver
import Spool

/// Where accepted spans go: first to the spool, then to the metrics. Without a trace backend there is no spool, and the
/// spans feed the metrics only.
struct IngestSink: SpanSink {
    let taskMetrics: TaskMetrics
    let spool: Spool?
    let forwarder: Forwarder?

    var acknowledgesAfterSync: Bool { spool?.options.sync == .always }

    func take(
        _ spans: AcceptedSpans, whenDurable: (@Sendable (Bool) -> Void)?
    ) throws(SinkRefusal) -> (() -> [MadeSpans])? {
        if let spool {
            try append(spans.payload, spanCount: spans.spanCount, to: spool, whenDurable: whenDurable)
        }
        let waits = taskMetrics.observe(spans.taskSpans, in: spans.scanned, areForwarded: spool != nil)
        if waits.isEmpty { return nil }
        return { Self.requests(waits.map { MadeSpan(wait: $0) }) }
    }

    /// As many spans as Tempo digests well in one request.
    private static let maxMadeSpans = 1000

    static func requests(_ spans: [MadeSpan]) -> [MadeSpans] {
        stride(from: 0, to: spans.count, by: maxMadeSpans).map { start in
            let part = Array(spans[start..<min(start + maxMadeSpans, spans.count)])
            return MadeSpans(payload: MadeSpan.request(part), spanCount: part.count)
        }
    }

    func keep(_ spans: MadeSpans) throws(SinkRefusal) {
        guard let spool else { return }
        try spans.payload.withUnsafeBufferPointer { payload throws(SinkRefusal) in
            try append(UnsafeRawBufferPointer(payload), spanCount: spans.spanCount, to: spool)
        }
    }

    private func append(
        _ payload: UnsafeRawBufferPointer, spanCount: Int, to spool: Spool,
        whenDurable: (@Sendable (Bool) -> Void)? = nil
    ) throws(SinkRefusal) {
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
