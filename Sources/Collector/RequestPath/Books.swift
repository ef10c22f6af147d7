import SpanReceiver
import Spool
import Web

/// What was received and what became of it, read as one, so that it balances.
struct Books: Sendable {
    /// An append that takes longer is waiting for a disk that hangs. The web endpoints don't wait with it.
    static let patience = Duration.milliseconds(250)

    let received: ReceiverCounters.Values
    /// nil without a trace backend.
    let spooled: SpoolStatistics?

    /// nil while the disk hangs.
    static func read(_ counters: ReceiverCounters, _ spool: Spool?) -> Books? {
        counters.read(patience: patience) { received in
            guard let spool else { return Books(received: received, spooled: nil) }
            return spool.statistics(patience: patience).map {
                Books(received: received, spooled: $0)
            }
        }
    }

    var totals: SpanTotals {
        SpanTotals(
            accepted: received.accepted, refused: received.refused.values.reduce(0, +),
            spooled: spooled.map {
                SpanTotals.Spooled(
                    forwarded: $0.deliveredSpans, inSpool: UInt64(max(0, $0.spans)),
                    dropped: $0.droppedSpans.values.reduce(0, +))
            })
    }
}
