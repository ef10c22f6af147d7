import ProtobufWire
import Text

/// Writes a request piece by piece, so that it is never in memory as a whole. The length of a message stands in front
/// of it, so everything is written twice: the first time only to learn the lengths. The families are a snapshot, so
/// both times are alike.
package struct OTLPRequestWriter {
    private let head: [UInt8]
    private let metrics: [OTLPMetric]
    private let lengths: [OTLPMetric.Lengths]
    /// The number of bytes that `write` writes.
    package let byteCount: Int

    package init(_ source: OTLPMetrics.Source, _ content: OTLPMetrics) {
        metrics = content.metrics
        lengths = metrics.map { $0.lengths() }
        let scope = Self.scope(source)
        let resource = Self.resource(source)
        let scopeLength = lengths.reduce(scope.count) { $0 + $1.total }
        let resourceLength = resource.count + 1 + Varint.size(UInt64(scopeLength)) + scopeLength
        var head = WireWriter()
        if !metrics.isEmpty {
            head.tag(1, .lengthDelimited)
            head.rawVarint(UInt64(resourceLength))
            resource.withUnsafeBytes { head.raw($0) }
            head.tag(2, .lengthDelimited)
            head.rawVarint(UInt64(scopeLength))
            scope.withUnsafeBytes { head.raw($0) }
        }
        self.head = head.bytes
        byteCount = lengths.reduce(head.bytes.count) { $0 + $1.total }
    }

    /// Hands the request to `sink`, in pieces, as it is made.
    package func write(to sink: (UnsafeRawBufferPointer) -> Void) {
        head.withUnsafeBytes { sink($0) }
        for (metric, lengths) in zip(metrics, lengths) { metric.write(lengths, to: sink) }
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
