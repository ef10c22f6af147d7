import Metrics
import Model
import OTLPClient

/// The content of pushes, request by request. A request is written from the families of the page as they are read, and
/// ends when its share of memory is used up. A push is as many requests as it takes.
struct PushContents: ~Copyable {
    private let options: MetricsPushOptions
    private let source: OTLPMetrics.Source
    private let startedAt: WallTime
    private let compressor: BodyCompressor
    private let isDelta: Bool
    private var chunks: FamilyChunks?
    /// The beginning of the push under way, and that of the last push of which all requests were acknowledged.
    private var began: WallTime
    private var acknowledgedAt: WallTime?
    /// The beginning of the last push of which all requests were acknowledged or refused permanently.
    private var endedAt: WallTime?
    /// The acknowledged numbers; empty unless differences are pushed.
    private(set) var acknowledged: AcknowledgedSeries
    /// The request that was written last, until it is taken.
    private var body: [UInt8] = []
    /// The number of data points of the request that was written last.
    private(set) var pointCount = 0

    init(_ options: MetricsPushOptions, _ source: OTLPMetrics.Source, startedAt: WallTime) {
        self.options = options
        self.source = source
        self.startedAt = startedAt
        compressor = BodyCompressor(options.backend.compression)
        isDelta = options.temporality == .delta
        began = startedAt
        acknowledged = AcknowledgedSeries(maxBytes: options.budget.seriesBytes)
    }

    var contentEncoding: String? { compressor.contentEncoding }

    mutating func beginPush(_ chunks: FamilyChunks, at time: WallTime) {
        self.chunks = chunks
        began = time
        acknowledged.beginPush()
    }

    /// Writes the next request of the push. Returns false if there is none left.
    mutating func writeRequest(at time: WallTime) -> Bool {
        guard var chunks else { return false }
        self.chunks = nil
        let start = isDelta ? acknowledgedAt ?? startedAt : startedAt
        let content = OTLPMetrics(
            options.temporality, options.histograms, interval: OTLPMetrics.Interval(start: start, end: time),
            // One that was being counted while the snapshot was taken may be in the next one only.
            exemplarsSince: endedAt?.advanced(by: .seconds(-1)))
        var writer = OTLPRequestWriter(source, content)
        compressor.begin()
        while let chunk = chunks.next() {
            if isDelta && (chunk.kind == .counter || chunk.kind == .histogram) {
                let difference = acknowledged.send(chunk, since: start, at: time)
                writer.append(difference.family, since: difference.starts) { compressor.add($0, to: &body) }
            } else {
                writer.append(chunk) { compressor.add($0, to: &body) }
            }
            if body.count + acknowledged.sentBytes >= options.budget.bodyBytes {
                self.chunks = chunks
                break
            }
        }
        if self.chunks == nil && writer.isEmpty { return false }
        writer.finish { compressor.add($0, to: &body) }
        compressor.end(to: &body)
        pointCount = writer.pointCount
        return true
    }

    /// Returns the request that was written last, once.
    mutating func takeBody() -> [UInt8] {
        defer { body = [] }
        return body
    }

    /// Ends the request that was written last.
    mutating func settleRequest(isAcknowledged: Bool) { acknowledged.settle(isAcknowledged: isAcknowledged) }

    /// Ends the request that was written last, which the backend refuses permanently.
    mutating func settleRefusedRequest() { acknowledged.settleRefused() }

    /// Ends a push of which all requests were acknowledged, or some were refused permanently. Returns the time when it began.
    mutating func endPush(isAcknowledged: Bool) -> WallTime {
        if isAcknowledged { acknowledgedAt = began }
        endedAt = began
        acknowledged.endPush()
        return began
    }
}
