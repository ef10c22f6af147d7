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
package enum TextEncoder {
    enum Dialect {
        case prometheus, openMetrics
    }

    /// The text format 0.0.4.
    package static func encode(_ families: [MetricFamily]) -> [UInt8] {
        encode(families, .prometheus)
    }

    static func encode(_ families: [MetricFamily], _ dialect: Dialect) -> [UInt8] {
        let bytes = families.reduce(0) { $0 + estimatedBytes($1, dialect) }
        return PageWriter.page(estimatedBytes: bytes) { page in
            for family in families where dialect == .prometheus || !family.isTextOnly {
                appendHead(of: family, dialect, to: &page)
                let name = Array(family.name.utf8)
                for sample in family.samples {
                    switch sample.value {
                    case .number(let value):
                        appendSeries(name, "", sample.labels, to: &page)
                        page.append(value)
                        page.append(newline)
                    case .histogram(let histogram):
                        append(histogram, name: name, labels: sample.labels, dialect, to: &page)
                    }
                }
            }
            if dialect == .openMetrics { page.append("# EOF\n") }
        }
    }

    private static let newline = UInt8(ascii: "\n")
    private static let comma = UInt8(ascii: ",")

    private static func estimatedBytes(_ family: MetricFamily, _ dialect: Dialect) -> Int {
        let perLine = family.name.utf8.count + 32
        return family.samples.reduce(256 + 2 * family.help.utf8.count + 3 * perLine) { bytes, sample in
            switch sample.value {
            case .number: return bytes + perLine + sample.labels.encoded.count
            case .histogram(let histogram):
                let lines = (histogram.classicRange.count + 2) * (perLine + 16 + sample.labels.encoded.count)
                return bytes + lines + (dialect == .openMetrics ? histogram.exemplarRange.count * 26 : 0)
            }
        }
    }

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
        page.append("# HELP ")
        page.append(name)
        page.append(UInt8(ascii: " "))
        append(help: family.help, dialect, to: &page)
        page.append("\n# TYPE ")
        page.append(name)
        page.append(UInt8(ascii: " "))
        page.append(kind)
        page.append(newline)
        if dialect == .openMetrics, let unit = family.unit {
            page.append("# UNIT ")
            page.append(name)
            page.append(UInt8(ascii: " "))
            page.append(unit)
            page.append(newline)
        }
    }

    private static func append(help: String, _ dialect: Dialect, to page: inout PageWriter) {
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): page.append("\\\\")
            case newline: page.append("\\n")
            case UInt8(ascii: "\"") where dialect == .openMetrics: page.append("\\\"")
            default: page.append(byte)
            }
        }
    }

    // MARK: Samples

    /// `name_suffix{labels} `, with the blank that precedes the value.
    private static func appendSeries(
        _ name: [UInt8], _ suffix: StaticString, _ labels: LabelSet, to page: inout PageWriter
    ) {
        page.append(name)
        page.append(suffix)
        if !labels.encoded.isEmpty {
            page.append(UInt8(ascii: "{"))
            page.append(labels.encoded)
            page.append(UInt8(ascii: "}"))
        }
        page.append(UInt8(ascii: " "))
    }

    private static func append(
        _ histogram: Histogram, name: [UInt8], labels: LabelSet, _ dialect: Dialect, to page: inout PageWriter
    ) {
        let edges = dialect == .prometheus ? histogram.bounds.textEdges : histogram.bounds.openMetricsEdges
        let bounds = histogram.bounds.values
        let words = histogram.words.span
        var exemplar = dialect == .openMetrics ? histogram.exemplarRange.lowerBound : words.count
        var cumulative: UInt64 = 0
        // All lines of the buckets begin alike: what the first one begins with is copied.
        var start = 0..<0
        for bucket in histogram.classicRange {
            cumulative += words[bucket]
            if start.isEmpty {
                let first = page.count
                page.append(name)
                page.append("_bucket{")
                page.append(labels.encoded)
                if !labels.encoded.isEmpty { page.append(comma) }
                page.append("le=\"")
                start = first..<page.count
            } else {
                page.append(copyOf: start)
            }
            page.append(edges[bucket])
            page.append(integer: cumulative)
            if exemplar < words.count, bucket == bounds.count || Exemplar.value(words, at: exemplar) <= bounds[bucket] {
                append(Exemplar(words, at: exemplar), to: &page)
                exemplar += Exemplar.wordCount
            }
            page.append(newline)
        }
        appendSeries(name, "_sum", labels, to: &page)
        page.append(histogram.sum)
        page.append(newline)
        appendSeries(name, "_count", labels, to: &page)
        page.append(integer: cumulative)
        page.append(newline)
    }

    private static func append(_ exemplar: Exemplar, to page: inout PageWriter) {
        let span = exemplar.origin.span
        page.append(" # {trace_id=\"")
        page.append(hex: span.trace.high)
        page.append(hex: span.trace.low)
        page.append("\",span_id=\"")
        page.append(hex: span.span.value)
        page.append("\"} ")
        page.append(exemplar.value)
        // Milliseconds are what Prometheus keeps.
        let milliseconds = UInt64(max(0, exemplar.origin.time.nanoseconds) / 1_000_000)
        page.append(UInt8(ascii: " "))
        page.append(integer: milliseconds / 1000)
        page.append(UInt8(ascii: "."))
        for unit in [100, 10, 1] as [UInt64] { page.append(UInt8(ascii: "0") + UInt8(milliseconds / unit % 10)) }
    }
}
