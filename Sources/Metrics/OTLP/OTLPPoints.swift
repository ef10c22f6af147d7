import Model
import ProtobufWire
import Text

/// Writes the data points of one metric.
///
/// ```
///                          attributes  start  time                                                     exemplars
/// NumberDataPoint               7        2     3    as_double 4                                             5
/// HistogramDataPoint            9        2     3    count 4   sum 5   bucket_counts 6   explicit_bounds 7   8
/// ExponentialHistogramDataPoint 1        2     3    count 4   sum 5   scale 6 (sint32)   zero_count 7      11
///                                                   positive 8   zero_threshold 14
/// Buckets                  offset 1 (sint32)   bucket_counts 2 (uint64, packed)
/// Exemplar                 time 2   as_double 3   span_id 4   trace_id 5
/// KeyValue                 key 1   value 2 { string_value 1 }
/// ```
/// Times are fixed64 of nanoseconds; counts are fixed64 as well, but for those of exponential buckets.
struct OTLPPoints {
    private let data: OTLPMetric.Data
    private let end: UInt64
    private let exemplarsSince: WallTime?

    init(_ data: OTLPMetric.Data, end: WallTime, exemplarsSince: WallTime?) {
        self.data = data
        self.end = UInt64(clamping: end.nanoseconds)
        self.exemplarsSince = exemplarsSince
    }

    // All field numbers are below 16, so number and wire type fit into one byte.
    static func bytesField(_ number: UInt8) -> UInt8 { number << 3 | 2 }
    private static func varintField(_ number: UInt8) -> UInt8 { number << 3 }
    private static func fixed64Field(_ number: UInt8) -> UInt8 { number << 3 | 1 }

    /// The estimated length of a point.
    var guess: Int {
        switch data {
        case .gauge, .sum: 100
        case .histogram, .exponentialHistogram: 500
        }
    }

    private var attributesField: UInt8 {
        switch data {
        case .gauge, .sum: 7
        case .histogram: 9
        case .exponentialHistogram: 1
        }
    }

    /// - Parameter start: The start time; nil where it is not known.
    func append(_ sample: MetricSample, since start: WallTime?, to bytes: inout GrowingBytes) {
        append(sample.labels, to: &bytes)
        // A clock that was set back must not turn the interval round.
        if let start { Self.append(fixed64: min(UInt64(clamping: start.nanoseconds), end), field: 2, to: &bytes) }
        Self.append(fixed64: end, field: 3, to: &bytes)
        switch sample.value {
        case .number(let value): Self.append(fixed64: value.bitPattern, field: 4, to: &bytes)
        case .histogram(let histogram):
            let words = histogram.words.span
            var count: UInt64 = 0
            for bucket in histogram.classicRange { count += words[bucket] }
            Self.append(fixed64: count, field: 4, to: &bytes)
            Self.append(fixed64: histogram.sum.bitPattern, field: 5, to: &bytes)
            if data == .histogram {
                Self.appendClassic(histogram, to: &bytes)
            } else {
                Self.appendNative(histogram, to: &bytes)
            }
            appendExemplars(histogram, to: &bytes)
        }
    }

    private func append(_ labels: LabelSet, to bytes: inout GrowingBytes) {
        let field = Self.bytesField(attributesField)
        labels.forEachLabel { name, value, isEscaped in
            let unescaped = isEscaped ? LabelSet.unescaped(value) : []
            let size = isEscaped ? unescaped.count : value.count
            let valueSize = 1 + Varint.size(UInt64(size)) + size
            let pairSize =
                1 + Varint.size(UInt64(name.count)) + name.count + 1 + Varint.size(UInt64(valueSize)) + valueSize
            bytes.append(field)
            bytes.append(varint: UInt64(pairSize))
            bytes.append(Self.bytesField(1))
            bytes.append(varint: UInt64(name.count))
            name.withUnsafeBytes { bytes.append($0) }
            bytes.append(Self.bytesField(2))
            bytes.append(varint: UInt64(valueSize))
            bytes.append(Self.bytesField(1))
            bytes.append(varint: UInt64(size))
            if isEscaped {
                bytes.append(unescaped)
            } else {
                value.withUnsafeBytes { bytes.append($0) }
            }
        }
    }

    // MARK: Buckets

    private static func appendClassic(_ histogram: Histogram, to bytes: inout GrowingBytes) {
        let words = histogram.words.span
        bytes.append(bytesField(6))
        bytes.append(varint: UInt64(histogram.classicRange.count * 8))
        for bucket in histogram.classicRange { bytes.append(littleEndian: words[bucket]) }
        bytes.append(bytesField(7))
        bytes.append(varint: UInt64(histogram.bounds.values.count * 8))
        for bound in histogram.bounds.values { bytes.append(littleEndian: bound.bitPattern) }
    }

    private static func appendNative(_ histogram: Histogram, to bytes: inout GrowingBytes) {
        let buckets = DenseBuckets(histogram)
        bytes.append(varintField(6))
        bytes.append(varint: zigzag(buckets.scale))
        append(fixed64: histogram.zeroCount, field: 7, to: &bytes)
        if !buckets.isEmpty {
            bytes.append(bytesField(8))
            bytes.appendMessage(guess: 200) { bytes in
                bytes.append(varintField(1))
                bytes.append(varint: zigzag(buckets.offset))
                bytes.append(bytesField(2))
                bytes.appendMessage(guess: 200) { bytes in
                    buckets.forEach(in: histogram) { gap, count in
                        bytes.append(zeros: gap)
                        bytes.append(varint: count)
                    }
                }
            }
        }
        append(fixed64: NativeBuckets.zeroThreshold.bitPattern, field: 14, to: &bytes)
    }

    // MARK: Exemplars

    // An exemplar has four fields: tag and eight bytes of the time, the same of the value, tag, length and eight bytes
    // of the span's id, and sixteen of the trace's.
    private static let exemplarBytes: UInt8 = 9 + 9 + 10 + 18

    /// Appends the exemplars, the oldest first: Prometheus takes none that is older than the one before.
    private func appendExemplars(_ histogram: Histogram, to bytes: inout GrowingBytes) {
        let words = histogram.words.span
        var exemplars: [Exemplar] = []
        for position in stride(from: histogram.exemplarRange.lowerBound, to: words.count, by: Exemplar.wordCount) {
            let exemplar = Exemplar(words, at: position)
            if exemplarsSince.map({ exemplar.origin.time > $0 }) ?? true { exemplars.append(exemplar) }
        }
        exemplars.sort { $0.origin.time < $1.origin.time }
        for exemplar in exemplars {
            let span = exemplar.origin.span
            bytes.append(Self.bytesField(data == .histogram ? 8 : 11))
            bytes.append(Self.exemplarBytes)
            Self.append(fixed64: UInt64(clamping: exemplar.origin.time.nanoseconds), field: 2, to: &bytes)
            Self.append(fixed64: exemplar.value.bitPattern, field: 3, to: &bytes)
            bytes.append(Self.bytesField(4))
            bytes.append(UInt8(8))
            bytes.append(littleEndian: span.span.value.byteSwapped)
            bytes.append(Self.bytesField(5))
            bytes.append(UInt8(16))
            bytes.append(littleEndian: span.trace.high.byteSwapped)
            bytes.append(littleEndian: span.trace.low.byteSwapped)
        }
    }

    @inline(__always)
    private static func append(fixed64 word: UInt64, field: UInt8, to bytes: inout GrowingBytes) {
        bytes.append(fixed64Field(field))
        bytes.append(littleEndian: word)
    }

    private static func zigzag(_ value: Int) -> UInt64 {
        UInt64(bitPattern: Int64(value) << 1 ^ Int64(value) >> 63)
    }
}
