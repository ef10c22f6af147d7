package import Model
import ProtobufWire
import Text

/// Writes a request piece by piece, so that it is never in memory as a whole.
///
/// ```
/// ExportMetricsServiceRequest   piece …
/// piece                         resource_metrics 1 { resource   scope_metrics { scope   metrics … } }
/// ```
/// The length of a message stands in front of it. So each piece is a `ResourceMetrics` of its own, with the same resource
/// and scope. Any number of pieces in a row is a request.
package struct OTLPRequestWriter: ~Copyable {
    /// The estimated length of a piece. A chunk of a family is never divided.
    private static let pieceBytes = 128 << 10

    /// The messages of a piece whose lengths are not known yet.
    private struct OpenPiece {
        let resourceMetrics: GrowingBytes.OpenMessage
        let scopeMetrics: GrowingBytes.OpenMessage
    }

    private let resource: [UInt8]
    private let scope: [UInt8]
    private let content: OTLPMetrics
    private var bytes = GrowingBytes()
    private var piece: OpenPiece?
    private var metric: OTLPMetric?
    /// The number of data points that were appended.
    package private(set) var pointCount = 0

    package var isEmpty: Bool { pointCount == 0 }

    package init(_ source: OTLPMetrics.Source, _ content: OTLPMetrics) {
        resource = Self.resource(source)
        scope = Self.scope(source)
        self.content = content
    }

    /// Appends samples of a family, and hands over a piece to `sink` when one is full.
    ///
    /// - Parameter starts: The time since when each sample counts; nil for the interval's start.
    package mutating func append(
        _ family: MetricFamily, since starts: [WallTime]? = nil, to sink: (UnsafeRawBufferPointer) -> Void
    ) {
        if family.isTextOnly || family.samples.isEmpty { return }
        // The time at which a counter of Redis began to count is unknown.
        let start = content.temporality == .delta || family.countsFrom == .start ? content.interval.start : nil
        for data in content.data(of: family) {
            let metric = opened(family, data)
            metric.append(family.samples, to: &bytes) { index in starts?[index] ?? start }
            pointCount += family.samples.count
        }
        if bytes.count >= Self.pieceBytes { handOver(to: sink) }
    }

    /// Hands over the last piece to `sink`.
    package mutating func finish(to sink: (UnsafeRawBufferPointer) -> Void) {
        if bytes.count > 0 { handOver(to: sink) }
    }

    private mutating func handOver(to sink: (UnsafeRawBufferPointer) -> Void) {
        metric?.close(in: &bytes)
        metric = nil
        if let piece {
            bytes.close(piece.scopeMetrics, guess: Self.pieceBytes)
            bytes.close(piece.resourceMetrics, guess: Self.pieceBytes)
        }
        piece = nil
        sink(bytes.bytes)
        bytes.truncate(to: 0)
    }

    /// Returns the metric for samples of a family: the open one if they belong to it, else a new one.
    private mutating func opened(_ family: MetricFamily, _ data: OTLPMetric.Data) -> OTLPMetric {
        if let metric, metric.takes(family, data) { return metric }
        if piece == nil {
            bytes.append(OTLPPoints.bytesField(1))
            let resourceMetrics = bytes.openMessage(guess: Self.pieceBytes)
            bytes.append(resource)
            bytes.append(OTLPPoints.bytesField(2))
            let scopeMetrics = bytes.openMessage(guess: Self.pieceBytes)
            bytes.append(scope)
            piece = OpenPiece(resourceMetrics: resourceMetrics, scopeMetrics: scopeMetrics)
        }
        metric?.close(in: &bytes)
        let metric = OTLPMetric(family, data, content, to: &bytes)
        self.metric = metric
        return metric
    }

    private static func resource(_ source: OTLPMetrics.Source) -> [UInt8] {
        var writer = WireWriter()
        writer.message(1) { resource in
            for (name, value) in source.attributes {
                resource.message(1) { attribute in
                    attribute.string(1, name)
                    attribute.message(2) { $0.string(1, value) }
                }
            }
        }
        return writer.bytes
    }

    private static func scope(_ source: OTLPMetrics.Source) -> [UInt8] {
        var writer = WireWriter()
        writer.message(1) { scope in
            scope.string(1, source.scope)
            scope.string(2, source.version)
        }
        return writer.bytes
    }
}
