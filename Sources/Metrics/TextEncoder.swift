import Model

/// The two text formats. They differ in the names of families, in the way numbers are written in `le`, and in what only
/// OpenMetrics has: units, exemplars, and an end.
///
/// ```
///                  text 0.0.4                            OpenMetrics 1.0
/// counter x_total  # TYPE x_total counter                # TYPE x counter
/// info x_info      # TYPE x_info gauge                   # TYPE x info
/// gauge            summary if it has a label quantile    gauge
/// unit             –                                     # UNIT x_seconds seconds
/// le               le="10"                               le="10.0"
/// exemplar         –                                     … 3 # {trace_id="…",span_id="…"} 7.2 1795197881.065
/// end              –                                     # EOF
/// ```
/// `_created` is not written: Prometheus would store it as one more series for each counter and histogram.
///
/// Sources: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
/// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
enum TextEncoder {
    enum Dialect {
        case prometheus, openMetrics
    }

    static func encode(_ families: [MetricFamily], _ dialect: Dialect, to sink: (UnsafeRawBufferPointer) -> Void) {
        var page = PageWriter()
        for family in families where dialect == .prometheus || !family.isTextOnly {
            appendHead(of: family, dialect, to: &page)
            let name = Array(family.name.utf8)
            for (index, sample) in family.samples.enumerated() {
                if index + 1 < family.samples.count { family.samples[index + 1].prefetch() }
                switch sample.value {
                case .number(let value): append(value, name: name, labels: sample.labels, to: &page)
                case .histogram(let histogram): append(histogram, name: name, labels: sample.labels, dialect, to: &page)
                }
                page.handOverPiece(to: sink)
            }
        }
        if dialect == .openMetrics { page.append("# EOF\n") }
        page.handOver(to: sink)
    }

    private static let newline = UInt8(ascii: "\n")
    private static let comma = UInt8(ascii: ",")

    // MARK: Heads

    private static func appendHead(of family: MetricFamily, _ dialect: Dialect, to page: inout PageWriter) {
        var name = family.name
        var kind = family.kind.rawValue
        switch (dialect, family.kind) {
        case (.openMetrics, .counter): name = name.hasSuffix("_total") ? String(name.dropLast("_total".count)) : name
        case (.openMetrics, .info): name = name.hasSuffix("_info") ? String(name.dropLast("_info".count)) : name
        case (.prometheus, .info): kind = "gauge"
        case (.prometheus, .gauge): kind = family.hasQuantileLabel ? "summary" : "gauge"
        default: break
        }
        page.append("# HELP \(name) \(escaped(help: family.help, dialect))\n# TYPE \(name) \(kind)\n")
        if dialect == .openMetrics, let unit = family.unit { page.append("# UNIT \(name) \(unit)\n") }
    }

    private static func escaped(help: String, _ dialect: Dialect) -> String {
        var escaped = ""
        for scalar in help.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where dialect == .openMetrics: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    // MARK: Samples

    private static func append(_ value: Double, name: [UInt8], labels: LabelSet, to page: inout PageWriter) {
        page.append(upTo: seriesBytes(name, labels) + PageRoom.maxNumberBytes + 1) { room in
            appendSeries(name, "", labels, to: &room)
            room.append(value)
            room.append(newline)
        }
    }

    private static func seriesBytes(_ name: [UInt8], _ labels: LabelSet) -> Int {
        name.count + labels.encoded.count + 16
    }

    /// `name_suffix{labels} `, with the blank that precedes the value.
    private static func appendSeries(
        _ name: [UInt8], _ suffix: StaticString, _ labels: LabelSet, to room: inout PageRoom
    ) {
        room.append(name)
        room.append(suffix)
        if !labels.encoded.isEmpty {
            room.append(UInt8(ascii: "{"))
            room.append(labels.encoded)
            room.append(UInt8(ascii: "}"))
        }
        room.append(UInt8(ascii: " "))
    }

    private static func append(
        _ histogram: Histogram, name: [UInt8], labels: LabelSet, _ dialect: Dialect, to page: inout PageWriter
    ) {
        let bounds = histogram.bounds.values
        let edges = (dialect == .prometheus ? histogram.bounds.textEdges : histogram.bounds.openMetricsEdges).span
        let words = histogram.words.span
        var exemplar = dialect == .openMetrics ? histogram.exemplarRange.lowerBound : words.count
        let lineBytes = seriesBytes(name, labels) + MemoryLayout<HistogramBounds.Edge>.size + PageRoom.maxNumberBytes
        let exemplarCount = (words.count - exemplar) / Exemplar.wordCount
        page.append(upTo: (edges.count + 2) * lineBytes + exemplarCount * exemplarBytes) { room in
            // All lines of the buckets begin alike: what the first one begins with is copied.
            let first = UnsafeRawPointer(room.next)
            room.append(name)
            room.append("_bucket{")
            room.append(labels.encoded)
            if !labels.encoded.isEmpty { room.append(comma) }
            room.append("le=\"")
            let start = UnsafeRawBufferPointer(start: first, count: UnsafeRawPointer(room.next) - first)
            var cumulative: UInt64 = 0
            for bucket in edges.indices {
                if bucket > 0 { room.append(start) }
                room.append(edges[bucket])
                cumulative += words[bucket]
                room.append(integer: cumulative)
                if exemplar < words.count,
                    bucket == bounds.count || Exemplar.value(words, at: exemplar) <= bounds[bucket]
                {
                    append(Exemplar(words, at: exemplar), to: &room)
                    exemplar += Exemplar.wordCount
                }
                room.append(newline)
            }
            appendSeries(name, "_sum", labels, to: &room)
            room.append(histogram.sum)
            room.append(newline)
            appendSeries(name, "_count", labels, to: &room)
            room.append(integer: cumulative)
            room.append(newline)
        }
    }

    private static let exemplarBytes = 128

    private static func append(_ exemplar: Exemplar, to room: inout PageRoom) {
        let span = exemplar.origin.span
        room.append(" # {trace_id=\"")
        room.append(hex: span.trace.high)
        room.append(hex: span.trace.low)
        room.append("\",span_id=\"")
        room.append(hex: span.span.value)
        room.append("\"} ")
        room.append(exemplar.value)
        // Milliseconds are what Prometheus keeps.
        let milliseconds = UInt64(max(0, exemplar.origin.time.nanoseconds) / 1_000_000)
        room.append(UInt8(ascii: " "))
        room.append(integer: milliseconds / 1000)
        room.append(UInt8(ascii: "."))
        room.append(integer: milliseconds % 1000, digits: 3)
    }
}

extension PageRoom {
    @inline(__always)
    fileprivate mutating func append(_ edge: HistogramBounds.Edge) {
        next.storeBytes(of: edge.text, as: SIMD32<UInt8>.self)
        skip(edge.count)
    }
}
