import Model
import ProtobufWire
import Text

/// One `Metric` of a request while it is written: samples of a family, or one of the two forms of a histogram's family.
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

    /// The estimated length of a metric. From 16 KiB on, a length takes three bytes.
    private static let guess = 32 << 10

    private let name: String
    private let data: Data
    private let points: OTLPPoints
    private let temporality: OTLPMetrics.Temporality
    private let metric: GrowingBytes.OpenMessage
    private let measured: GrowingBytes.OpenMessage

    /// Appends the fields that stand before the data points.
    init(_ family: MetricFamily, _ data: Data, _ content: OTLPMetrics, to bytes: inout GrowingBytes) {
        name = family.name
        self.data = data
        temporality = content.temporality
        points = OTLPPoints(data, end: content.interval.end, exemplarsSince: content.exemplarsSince)
        let (otlpName, unit) = family.otlpName
        var head = WireWriter()
        head.string(1, String(otlpName))
        head.string(2, family.help)
        head.string(3, unit)
        bytes.append(OTLPPoints.bytesField(2))
        metric = bytes.openMessage(guess: Self.guess)
        bytes.append(head.bytes)
        bytes.append(OTLPPoints.bytesField(data.rawValue))
        measured = bytes.openMessage(guess: Self.guess)
    }

    /// Returns true if samples of the family belong to this metric.
    func takes(_ family: MetricFamily, _ data: Data) -> Bool { self.data == data && name == family.name }

    /// Appends data points.
    ///
    /// - Parameter start: Returns the time since when a sample counts; nil where it is unknown.
    func append(_ samples: [MetricSample], to bytes: inout GrowingBytes, start: (Int) -> WallTime?) {
        for (index, sample) in samples.enumerated() {
            if index + 1 < samples.count { samples[index + 1].prefetch() }
            bytes.append(OTLPPoints.bytesField(1))
            bytes.appendMessage(guess: points.guess) {
                points.append(sample, since: data == .gauge ? nil : start(index), to: &$0)
            }
        }
    }

    /// Appends the fields that follow the data points, and writes the lengths.
    func close(in bytes: inout GrowingBytes) {
        var tail = WireWriter()
        if data != .gauge { tail.varint(2, UInt64(temporality.rawValue)) }
        if data == .sum { tail.varint(3, 1) }
        bytes.append(tail.bytes)
        bytes.close(measured, guess: Self.guess)
        bytes.close(metric, guess: Self.guess)
    }
}
