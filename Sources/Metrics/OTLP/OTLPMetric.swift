import Model
import ProtobufWire
import Text

/// One `Metric` of a request: a family, or one of two forms of a histogram's family.
///
/// ```
/// Metric                 name 1   description 2   unit 3   gauge 5   sum 7   histogram 9   exponential_histogram 10
/// Gauge                  data_points 1
/// Sum                    data_points 1   aggregation_temporality 2   is_monotonic 3
/// Histogram              data_points 1   aggregation_temporality 2;   ExponentialHistogram the same
/// ```
struct OTLPMetric {
    /// The field of the data, by its kind.
    enum Data: UInt8 {
        case gauge = 5
        case sum = 7
        case histogram = 9
        case exponentialHistogram = 10
    }

    struct Lengths {
        /// The length of the data points alone.
        let points: Int
        /// The length of the metric with its own tag and length.
        let total: Int
        fileprivate let data: Int
        fileprivate let metric: Int
    }

    private static let pieceBytes = 64 << 10

    private let family: MetricFamily
    private let data: Data
    private let points: OTLPPoints
    /// The name, description and unit.
    private let head: [UInt8]
    /// The fields that follow the data points.
    private let tail: [UInt8]

    init(_ family: MetricFamily, _ data: Data, _ content: OTLPMetrics) {
        self.family = family
        self.data = data
        // The time at which a counter of Redis began to count is unknown.
        let isStartKnown = content.temporality == .delta || family.countsFrom == .start
        let hasStart = data != .gauge && isStartKnown
        points = OTLPPoints(
            data, start: hasStart ? content.interval.start : nil, end: content.interval.end,
            exemplarsSince: content.exemplarsSince)
        let (name, unit) = family.otlpName
        var head = WireWriter()
        head.string(1, String(name))
        head.string(2, family.help)
        head.string(3, unit)
        self.head = head.bytes
        var tail = WireWriter()
        if data != .gauge { tail.varint(2, UInt64(content.temporality.rawValue)) }
        if data == .sum { tail.varint(3, 1) }
        self.tail = tail.bytes
    }

    func lengths() -> Lengths {
        var count = 0
        writePoints { count += $0.count }
        let data = count + tail.count
        let metric = head.count + 1 + Varint.size(UInt64(data)) + data
        return Lengths(points: count, total: 1 + Varint.size(UInt64(metric)) + metric, data: data, metric: metric)
    }

    func write(_ lengths: Lengths, to sink: (UnsafeRawBufferPointer) -> Void) {
        var beginning = WireWriter()
        beginning.tag(2, .lengthDelimited)
        beginning.rawVarint(UInt64(lengths.metric))
        head.withUnsafeBytes { beginning.raw($0) }
        beginning.tag(Int(data.rawValue), .lengthDelimited)
        beginning.rawVarint(UInt64(lengths.data))
        beginning.bytes.withUnsafeBytes { sink($0) }
        writePoints(to: sink)
        tail.withUnsafeBytes { sink($0) }
    }

    private func writePoints(to sink: (UnsafeRawBufferPointer) -> Void) {
        var bytes = GrowingBytes()
        for (index, sample) in family.samples.enumerated() {
            if index + 1 < family.samples.count { family.samples[index + 1].prefetch() }
            bytes.append(OTLPPoints.bytesField(1))
            bytes.appendMessage(guess: points.guess) { points.append(sample, to: &$0) }
            if bytes.count >= Self.pieceBytes {
                sink(bytes.bytes)
                bytes.truncate(to: 0)
            }
        }
        if bytes.count > 0 { sink(bytes.bytes) }
    }
}
