import Model

/// Prometheus' protobuf format: `io.prometheus.client.MetricFamily` messages, each preceded by its length. The only format
/// that carries native histograms.
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
    static func encode(_ families: [MetricFamily], to sink: (UnsafeRawBufferPointer) -> Void) {
        var page = PageWriter()
        for family in families where !family.isTextOnly {
            // A family has to be complete before its length can be told.
            page.append(lengthGuess: 1 << 21) { append(family, to: &$0) }
            page.handOverPiece(to: sink)
        }
        page.handOver(to: sink)
    }

    // A field's number and wire type in one byte: all of them are below 16.
    private static func varintField(_ number: UInt8) -> UInt8 { number << 3 }
    private static func doubleField(_ number: UInt8) -> UInt8 { number << 3 | 1 }
    private static func bytesField(_ number: UInt8) -> UInt8 { number << 3 | 2 }

    private static func append(_ family: MetricFamily, to page: inout PageWriter) {
        page.append(upTo: family.name.utf8.count + family.help.utf8.count + 32) { room in
            append(text: family.name, field: 1, to: &room)
            append(text: family.help, field: 2, to: &room)
            room.append(varintField(3))
            room.append(UInt8(family.kind == .counter ? 0 : family.kind == .histogram ? 4 : 1))
        }
        for (index, sample) in family.samples.enumerated() {
            if index + 1 < family.samples.count { family.samples[index + 1].prefetch() }
            page.append(upTo: maxBytes(of: sample)) { room in
                room.append(bytesField(4))
                room.append(lengthGuess: 1024) { append(sample, family.kind, to: &$0) }
            }
        }
        if let unit = family.unit { page.append(upTo: 16) { append(text: unit, field: 5, to: &$0) } }
    }

    private static func maxBytes(of sample: MetricSample) -> Int {
        // `a="b",` becomes two tags and two lengths more.
        let labels = 4 * sample.labels.encoded.count + 64
        guard case .histogram(let histogram) = sample.value else { return labels }
        // A classic bucket; a native one that is a run of its own; an exemplar's word.
        return labels + 128 + 24 * histogram.classicRange.count + 32 * histogram.nativeRange.count
            + 24 * histogram.exemplarRange.count
    }

    private static func append(_ sample: MetricSample, _ kind: MetricKind, to room: inout PageRoom) {
        append(sample.labels, to: &room)
        switch sample.value {
        case .number(let value):
            room.append(bytesField(kind == .counter ? 3 : 2))
            room.append(UInt8(9))
            append(double: value, field: 1, to: &room)
        case .histogram(let histogram):
            room.append(bytesField(7))
            room.append(lengthGuess: 512) { append(histogram, to: &$0) }
        }
    }

    private static func append(_ labels: LabelSet, to room: inout PageRoom) {
        labels.encoded.withUnsafeBytes { text in
            labels.forEachLabel { name, value, isEscaped in
                let unescaped = isEscaped ? labels.unescaped(value) : []
                let size = isEscaped ? unescaped.count : value.count
                room.append(bytesField(1))
                room.append(varint: UInt64(name.count + size + 2 + PageRoom.varintSizes(name.count, size)))
                room.append(bytesField(1))
                room.append(varint: UInt64(name.count))
                room.append(UnsafeRawBufferPointer(rebasing: text[name]))
                room.append(bytesField(2))
                room.append(varint: UInt64(size))
                if isEscaped {
                    room.append(unescaped)
                } else {
                    room.append(UnsafeRawBufferPointer(rebasing: text[value]))
                }
            }
        }
    }

    // MARK: Histograms

    private static func append(_ histogram: Histogram, to room: inout PageRoom) {
        let bounds = histogram.bounds.values
        let words = histogram.words.span
        var next = histogram.exemplarRange.lowerBound
        var count: UInt64 = 0
        for bucket in histogram.classicRange { count += words[bucket] }
        room.append(varintField(1))
        room.append(varint: count)
        append(double: histogram.sum, field: 2, to: &room)
        var cumulative: UInt64 = 0
        for bucket in histogram.classicRange {
            cumulative += words[bucket]
            var exemplar: Exemplar?
            if next < words.count, bucket == bounds.count || Exemplar.value(words, at: next) <= bounds[bucket] {
                exemplar = Exemplar(words, at: next)
                next += Exemplar.wordCount
            }
            // Its tags, the bound, the exemplar.
            let bytes = 2 + 8 + PageRoom.varintSize(cumulative) + (exemplar.map { 2 + size(of: $0) } ?? 0)
            room.append(bytesField(3))
            room.append(varint: UInt64(bytes))
            room.append(varintField(1))
            room.append(varint: cumulative)
            append(double: bucket < bounds.count ? bounds[bucket] : .infinity, field: 2, to: &room)
            if let exemplar { append(exemplar, to: &room) }
        }
        appendNative(histogram, to: &room)
    }

    private static func appendNative(_ histogram: Histogram, to room: inout PageRoom) {
        room.append(varintField(5))
        room.append(varint: zigzag(Int(histogram.schema)))
        append(double: NativeBuckets.zeroThreshold, field: 6, to: &room)
        room.append(varintField(7))
        room.append(varint: histogram.zeroCount)
        // Runs of neighbours. The offset of the first is its index, that of a later one the gap before it. A histogram
        // without any has an empty run, or it would pass for a classic one.
        let words = histogram.words.span.extracting(histogram.nativeRange)
        var start = 0
        var next = 0
        repeat {
            let first = start < words.count ? Int(NativeBucket(words[start]).index) : 0
            var end = start
            while end < words.count && Int(NativeBucket(words[end]).index) == first + end - start { end += 1 }
            room.append(bytesField(12))
            room.append(lengthGuess: 8) { room in
                room.append(varintField(1))
                room.append(varint: zigzag(first - next))
                room.append(varintField(2))
                room.append(varint: UInt64(end - start))
            }
            next = first + end - start
            start = end
        } while start < words.count
        if words.isEmpty { return }
        room.append(bytesField(13))
        room.append(lengthGuess: words.count * 2) { room in
            var previous: UInt64 = 0
            for position in words.indices {
                let count = NativeBucket(words[position]).count
                room.append(varint: zigzag(Int(bitPattern: UInt(count &- previous))))
                previous = count
            }
        }
    }

    // trace_id: tag, size, then tag, size, 8 letters, tag, size, 32 digits.
    private static let traceLabelBytes = 2 + 2 + 8 + 2 + 32
    private static let spanLabelBytes = 2 + 2 + 7 + 2 + 16

    /// Without its own tag and size; at most 104, so that the size is one byte.
    private static func size(of exemplar: Exemplar) -> Int {
        traceLabelBytes + spanLabelBytes + 9 + 2 + timeSize(exemplar.time)
    }

    private static func timeSize(_ time: (seconds: UInt64, nanoseconds: UInt64)) -> Int {
        2 + PageRoom.varintSize(time.seconds) + PageRoom.varintSize(time.nanoseconds)
    }

    /// A label of an exemplar, but for its value.
    @inline(__always)
    private static func beginLabel(_ name: StaticString, size: Int, valueSize: Int, in room: inout PageRoom) {
        room.append(bytesField(1))
        room.append(UInt8(size))
        append(text: name, field: 1, to: &room)
        room.append(bytesField(2))
        room.append(UInt8(valueSize))
    }

    private static func append(_ exemplar: Exemplar, to room: inout PageRoom) {
        let span = exemplar.origin.span
        room.append(bytesField(3))
        room.append(UInt8(truncatingIfNeeded: size(of: exemplar)))
        beginLabel("trace_id", size: traceLabelBytes - 2, valueSize: 32, in: &room)
        room.append(hex: span.trace.high)
        room.append(hex: span.trace.low)
        beginLabel("span_id", size: spanLabelBytes - 2, valueSize: 16, in: &room)
        room.append(hex: span.span.value)
        append(double: exemplar.value, field: 2, to: &room)
        let time = exemplar.time
        room.append(bytesField(3))
        room.append(UInt8(truncatingIfNeeded: timeSize(time)))
        room.append(varintField(1))
        room.append(varint: time.seconds)
        room.append(varintField(2))
        room.append(varint: time.nanoseconds)
    }

    // MARK: Fields

    private static func append(text: String, field: UInt8, to room: inout PageRoom) {
        room.append(bytesField(field))
        room.append(varint: UInt64(text.utf8.count))
        room.append(text)
    }

    private static func append(text: StaticString, field: UInt8, to room: inout PageRoom) {
        room.append(bytesField(field))
        room.append(varint: UInt64(text.utf8CodeUnitCount))
        room.append(text)
    }

    @inline(__always)
    private static func append(double: Double, field: UInt8, to room: inout PageRoom) {
        room.append(doubleField(field))
        room.append(fixed64: double.bitPattern)
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
