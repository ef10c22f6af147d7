import Model

/// How fast what piled up in an outage may be sent (`tempo.drain.max-spans-per-second`), so that a backend that is just
/// back on its feet is not run over.
///
/// Of the spans that nobody has read yet, `reserve` must stay behind for now. While the backend takes nothing, the reserve
/// is all of them; from then on it melts by the limit. So many spans as arrive meanwhile may be sent on top, the oldest
/// ones first: what waits gets less by the limit each second, however much arrives, and once it is gone, nothing is limited.
///
///     unread   ######################......   may be read: unread - reserve
///              '------ reserve -----'
struct DrainLimit {
    private let spansPerSecond: Double
    private var reserve: Double
    private var lookedAt: MonotonicTime
    /// A batch is read whole, though a part of it is of the reserve.
    private var lastBatchSpans = 0

    /// `unread`: what an earlier process left.
    init(spansPerSecond: Int, unread: Int, at now: MonotonicTime) {
        self.spansPerSecond = Double(spansPerSecond)
        reserve = Double(unread)
        lookedAt = now
    }

    /// To be called before each read. `isBlocked`: the backend takes nothing.
    mutating func look(unread: Int, isBlocked: Bool, at now: MonotonicTime) {
        let melted = now.seconds(since: lookedAt) * spansPerSecond
        lookedAt = now
        // Spans that the spool dropped are not missing from what may be read.
        reserve = isBlocked ? Double(unread) : min(max(0, reserve - melted), Double(unread + lastBatchSpans))
    }

    mutating func note(read spans: Int) {
        lastBatchSpans = spans
    }

    /// From when on a batch may be read.
    func opens(unread: Int) -> MonotonicTime {
        let excess = reserve - Double(unread)
        if reserve == 0 || excess <= -1 { return lookedAt }
        let seconds = min(excess + 1, reserve) / spansPerSecond
        return lookedAt.advanced(byNanoseconds: UInt64(min(seconds, 3600) * 1e9))
    }
}
