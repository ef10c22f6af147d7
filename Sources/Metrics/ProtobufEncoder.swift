import Model
import ProtobufWire
import Text

/// Writes Prometheus' protobuf format: `io.prometheus.client.MetricFamily` messages, each preceded by its length. It is
/// the only format that carries native histograms.
///
/// ```
/// MetricFamily   name 1   help 2   type 3 (0 counter, 1 gauge, 4 histogram)   metric 4   unit 5
/// Metric         label 1   gauge 2   counter 3   histogram 7
/// LabelPair      name 1   value 2
/// Gauge          value 1 (double);  Counter the same
/// Histogram      sample_count 1   sample_sum 2 (double)   bucket 3
///                schema 5 (sint32)   zero_threshold 6 (double)   zero_count 7
///                positive_span 12   positive_delta 13 (sint64, packed)
/// Bucket         cumulative_count 1   upper_bound 2 (double)   exemplar 3
/// BucketSpan     offset 1 (sint32)   length 2
/// Exemplar       label 1   value 2 (double)   timestamp 3
/// Timestamp      seconds 1   nanos 2
/// ```
/// Exemplars stand in the classic buckets alone: Prometheus takes them from there for native histograms, too, where a
/// histogram has none of its own (field 16).
///
/// Source: https://github.com/prometheus/client_model/blob/v0.6.1/io/prometheus/client/metrics.proto
enum ProtobufEncoder {
    // All field numbers are below 16, so number and wire type fit into one byte.
    private static func varintField(_ number: UInt8) -> UInt8 { number << 3 }
    private static func doubleField(_ number: UInt8) -> UInt8 { number << 3 | 1 }
    private static func bytesField(_ number: UInt8) -> UInt8 { number << 3 | 2 }

    /// Appends the fields of a family that stand before its series.
    static func appendHead(of family: MetricFamily, to page: inout GrowingBytes) {
        append(text: family.name, field: 1, to: &page)
        append(text: family.help, field: 2, to: &page)
        page.append(varintField(3))
        page.append(UInt8(family.kind == .counter ? 0 : family.kind == .histogram ? 4 : 1))
        if let unit = family.unit { append(text: unit, field: 5, to: &page) }
    }

    @inline(__always)
    static func append(_ sample: MetricSample, of family: borrowing OpenFamily, to page: inout GrowingBytes) {
        page.append(bytesField(4))
        let step = family.bucketStep
        let kind = family.kind
        page.appendMessage(guess: 1024) { append(sample, kind, step: step, to: &$0) }
    }

    private static func append(
        _ sample: MetricSample, _ kind: MetricKind, step: Int, to page: inout GrowingBytes
    ) {
        append(sample.labels, to: &page)
        switch sample.value {
        case .number(let value):
            page.append(bytesField(kind == .counter ? 3 : 2))
            page.append(UInt8(9))
            append(double: value, field: 1, to: &page)
        case .histogram(let histogram):
            page.append(bytesField(7))
            page.appendMessage(guess: 512) { append(histogram, step: step, to: &$0) }
        }
    }

    private static func append(_ labels: LabelSet, to page: inout GrowingBytes) {
        labels.forEachLabel { name, value, isEscaped in
            let unescaped = isEscaped ? LabelSet.unescaped(value) : []
            let size = isEscaped ? unescaped.count : value.count
            page.append(bytesField(1))
            page.append(
                varint: UInt64(name.count + size + 2 + Varint.size(UInt64(name.count)) + Varint.size(UInt64(size))))
            page.append(bytesField(1))
            page.append(varint: UInt64(name.count))
            page.append(name)
            page.append(bytesField(2))
            page.append(varint: UInt64(size))
            if isEscaped { page.append(unescaped) } else { page.append(value) }
        }
    }

    // MARK: Histograms

    private static func append(_ histogram: Histogram, step: Int, to page: inout GrowingBytes) {
        let bounds = histogram.bounds.values
        let words = histogram.words.span
        var next = histogram.exemplarRange.lowerBound
        var count: UInt64 = 0
        for bucket in histogram.classicRange { count += words[bucket] }
        page.append(varintField(1))
        page.append(varint: count)
        append(double: histogram.sum, field: 2, to: &page)
        var cumulative: UInt64 = 0
        for bucket in histogram.classicRange {
            cumulative += words[bucket]
            if !histogram.bounds.keeps(bucket, step: step) { continue }
            var exemplar: Exemplar?
            // If several buckets are written as one, the last exemplar stands for all.
            while next < words.count, bucket == bounds.count || Exemplar.value(words, at: next) <= bounds[bucket] {
                exemplar = Exemplar(words, at: next)
                next += Exemplar.wordCount
            }
            // The bytes are those of the tags, the bound and the exemplar.
            let bytes = 2 + 8 + Varint.size(cumulative) + (exemplar.map { 2 + size(of: $0) } ?? 0)
            page.append(bytesField(3))
            page.append(varint: UInt64(bytes))
            page.append(varintField(1))
            page.append(varint: cumulative)
            append(double: bucket < bounds.count ? bounds[bucket] : .infinity, field: 2, to: &page)
            if let exemplar { append(exemplar, to: &page) }
        }
        appendNative(histogram, to: &page)
    }

    private static func appendNative(_ histogram: Histogram, to page: inout GrowingBytes) {
        page.append(varintField(5))
        page.append(varint: zigzag(Int(histogram.schema)))
        append(double: NativeBuckets.zeroThreshold, field: 6, to: &page)
        page.append(varintField(7))
        page.append(varint: histogram.zeroCount)
        // These are runs of neighbours. The offset of the first is its index, that of a later one the gap before it. A
        // histogram without any has an empty run, or it would pass for a classic one.
        let words = histogram.words.span.extracting(histogram.nativeRange)
        var start = 0
        var next = 0
        repeat {
            let first = start < words.count ? Int(NativeBucket(words[start]).index) : 0
            var end = start
            while end < words.count && Int(NativeBucket(words[end]).index) == first + end - start { end += 1 }
            page.append(bytesField(12))
            page.appendMessage(guess: 8) { page in
                page.append(varintField(1))
                page.append(varint: zigzag(first - next))
                page.append(varintField(2))
                page.append(varint: UInt64(end - start))
            }
            next = first + end - start
            start = end
        } while start < words.count
        if words.isEmpty { return }
        page.append(bytesField(13))
        page.appendMessage(guess: words.count * 2) { page in
            var previous: UInt64 = 0
            page.append(varints: words.count) { position in
                let count = NativeBucket(words[position]).count
                defer { previous = count }
                return zigzag(Int(bitPattern: UInt(count &- previous)))
            }
        }
    }

    // The label trace_id: tag, size, then tag, size, 8 letters, tag, size, 32 digits.
    private static let traceLabelBytes = 2 + 2 + 8 + 2 + 32
    private static let spanLabelBytes = 2 + 2 + 7 + 2 + 16

    /// Returns the size without the exemplar's own tag and size: at most 104, so that it takes one byte.
    private static func size(of exemplar: Exemplar) -> Int {
        traceLabelBytes + spanLabelBytes + 9 + 2 + timeSize(exemplar.time)
    }

    private static func timeSize(_ time: (seconds: UInt64, nanoseconds: UInt64)) -> Int {
        2 + Varint.size(time.seconds) + Varint.size(time.nanoseconds)
    }

    /// Appends a label of an exemplar, but for its value.
    @inline(__always)
    private static func beginLabel(_ name: StaticString, size: Int, valueSize: Int, in page: inout GrowingBytes) {
        page.append(bytesField(1))
        page.append(UInt8(size))
        append(text: name, field: 1, to: &page)
        page.append(bytesField(2))
        page.append(UInt8(valueSize))
    }

    private static func append(_ exemplar: Exemplar, to page: inout GrowingBytes) {
        let span = exemplar.origin.span
        page.append(bytesField(3))
        page.append(UInt8(truncatingIfNeeded: size(of: exemplar)))
        beginLabel("trace_id", size: traceLabelBytes - 2, valueSize: 32, in: &page)
        page.append(hex: span.trace.high)
        page.append(hex: span.trace.low)
        beginLabel("span_id", size: spanLabelBytes - 2, valueSize: 16, in: &page)
        page.append(hex: span.span.value)
        append(double: exemplar.value, field: 2, to: &page)
        let time = exemplar.time
        page.append(bytesField(3))
        page.append(UInt8(truncatingIfNeeded: timeSize(time)))
        page.append(varintField(1))
        page.append(varint: time.seconds)
        page.append(varintField(2))
        page.append(varint: time.nanoseconds)
    }

    // MARK: Fields

    private static func append(text: String, field: UInt8, to page: inout GrowingBytes) {
        page.append(bytesField(field))
        page.append(varint: UInt64(text.utf8.count))
        page.append(text)
    }

    private static func append(text: StaticString, field: UInt8, to page: inout GrowingBytes) {
        page.append(bytesField(field))
        page.append(varint: UInt64(text.utf8CodeUnitCount))
        page.append(text)
    }

    @inline(__always)
    private static func append(double: Double, field: UInt8, to page: inout GrowingBytes) {
        page.append(doubleField(field))
        page.append(littleEndian: double.bitPattern)
    }

    @inline(__always)
    private static func zigzag(_ value: Int) -> UInt64 {
        UInt64(bitPattern: Int64(value) << 1 ^ Int64(value) >> 63)
    }
}

extension Exemplar {
    fileprivate var time: (seconds: UInt64, nanoseconds: UInt64) {
        let nanoseconds = UInt64(max(0, origin.time.nanoseconds))
        return (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
    }
}
