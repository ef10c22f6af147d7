import Attention
import Forwarder
import MetricsPush
import SpanReceiver
import Spool
import Web

/// The numbers of received spans and of their fate, read as one, so that they balance.
struct Books: Sendable {
    /// The time after which an append is waiting for a disk that hangs. The web endpoints don't wait with it.
    static let patience = Duration.milliseconds(250)

    let received: ReceiverCounters.Values
    /// The numbers of the spool; nil without a trace backend.
    let spooled: SpoolStatistics?

    /// Returns the books; nil while the disk hangs.
    static func read(_ counters: ReceiverCounters, _ spool: Spool?) -> Books? {
        guard let spool else { return Books(received: counters.current, spooled: nil) }
        return spool.read(patience: patience) { Books(received: counters.current, spooled: $0) }
    }

    func totals(duplicates: UInt64) -> SpanTotals {
        SpanTotals(
            accepted: received.accepted, duplicates: duplicates, refused: refused,
            spooled: spooled.map {
                SpanTotals.Spooled(
                    forwarded: $0.deliveredSpans, inSpool: UInt64(max(0, $0.spans)), dropped: $0.droppedSpans)
            })
    }

    /// The refused spans by reason.
    private var refused: [String: UInt64] {
        Dictionary(uniqueKeysWithValues: received.refused.map { ($0.key.rawValue, $0.value) })
    }

    /// Returns the way of spans, as the evaluation of troubles reads it.
    func path(_ forwarder: ForwarderStatistics?) -> SpanPath {
        var path = SpanPath()
        path.refused = refused
        path.spool = spooled.map {
            SpanPath.Spool(bytes: $0.bytes, capacityBytes: $0.capacityBytes, dropped: $0.droppedSpans)
        }
        path.backend = forwarder.map(Backend.init)
        return path
    }
}

extension Backend {
    init(_ statistics: ForwarderStatistics) {
        let failed = statistics.requests.filter { !($0.key.count == 3 && $0.key.hasPrefix("2")) }
        self.init(
            isUp: statistics.isBackendUp, lastFailure: statistics.lastFailure,
            requests: statistics.requests.values.reduce(0, +), failedRequests: failed.values.reduce(0, +))
    }

    init(_ statistics: PushStatistics) {
        let requests = statistics.requests.values.reduce(0, +)
        self.init(
            isUp: requests > 0 ? statistics.lastFailure == nil : nil, lastFailure: statistics.lastFailure,
            requests: requests, failedRequests: statistics.failedRequests)
        isPartlyUp = statistics.isPartlyAccepted
    }
}
