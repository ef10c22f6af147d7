import Model
import Text

/// Writes the two text formats. They differ in the names of families, in the way numbers are written in `le`, and in
/// what only OpenMetrics has: units, exemplars, and an end.
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

    private static let newline = UInt8(ascii: "\n")

    // MARK: Heads

    static func appendHead(of family: MetricFamily, _ dialect: Dialect, to page: inout GrowingBytes) {
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

    /// Appends the lines of a series.
    @inline(__always)
    static func append(
        _ sample: MetricSample, of family: borrowing OpenFamily, _ dialect: Dialect, to page: inout GrowingBytes
    ) {
        switch sample.value {
        case .number(let value): append(value, name: family.name, labels: sample.labels, to: &page)
        case .histogram(let histogram):
            append(histogram, of: family, labels: sample.labels, dialect, to: &page)
        }
    }

    private static func append(_ value: Double, name: [UInt8], labels: LabelSet, to page: inout GrowingBytes) {
        appendSeries(name, "", labels, to: &page)
        page.append(value)
        page.append(newline)
    }

    /// Appends `name_suffix{labels} `, with the blank that precedes the value.
    private static func appendSeries(
        _ name: [UInt8], _ suffix: StaticString, _ labels: LabelSet, to page: inout GrowingBytes
    ) {
        page.append(name)
        page.append(suffix)
        if labels.isEmpty { return page.append(UInt8(ascii: " ")) }
        page.append(UInt8(ascii: "{"))
        page.append(labels.shared)
        page.append(labels.more)
        page.append("} ")
    }

    private static func append(
        _ histogram: Histogram, of family: borrowing OpenFamily, labels: LabelSet, _ dialect: Dialect,
        to page: inout GrowingBytes
    ) {
        let name = family.name
        let bounds = histogram.bounds.values
        let edges = dialect == .prometheus ? histogram.bounds.textEdges : histogram.bounds.openMetricsEdges
        let words = histogram.words.span
        var exemplar = dialect == .openMetrics ? histogram.exemplarRange.lowerBound : words.count
        // All lines of the buckets begin alike, so the beginning of the first is copied.
        let start = page.count
        page.append(name)
        page.append("_bucket{")
        page.append(labels.shared)
        page.append(labels.more)
        page.append(labels.isEmpty ? "le=\"" : ",le=\"")
        let beginning = start..<page.count
        var isFirst = true
        var cumulative: UInt64 = 0
        for bucket in edges.indices {
            cumulative += words[bucket]
            if !histogram.bounds.keeps(bucket, step: family.bucketStep) { continue }
            page.append(copyOf: isFirst ? start..<start : beginning, edges[bucket], decimal: cumulative)
            isFirst = false
            // If several buckets are written as one, the last exemplar stands for all.
            var last = words.count
            while exemplar < words.count,
                bucket == bounds.count || Exemplar.value(words, at: exemplar) <= bounds[bucket]
            {
                last = exemplar
                exemplar += Exemplar.wordCount
            }
            if last < words.count { append(Exemplar(words, at: last), to: &page) }
            page.append(newline)
        }
        appendSeries(name, "_sum", labels, to: &page)
        page.append(histogram.sum)
        page.append(newline)
        appendSeries(name, "_count", labels, to: &page)
        page.append(decimal: cumulative)
        page.append(newline)
    }

    private static func append(_ exemplar: Exemplar, to page: inout GrowingBytes) {
        let span = exemplar.origin.span
        page.append(" # {trace_id=\"")
        page.append(hex: span.trace.high)
        page.append(hex: span.trace.low)
        page.append("\",span_id=\"")
        page.append(hex: span.span.value)
        page.append("\"} ")
        page.append(exemplar.value)
        // Prometheus keeps milliseconds.
        let milliseconds = UInt64(max(0, exemplar.origin.time.nanoseconds) / 1_000_000)
        page.append(UInt8(ascii: " "))
        page.append(decimal: milliseconds / 1000)
        page.append(UInt8(ascii: "."))
        page.append(decimal: milliseconds % 1000, digits: 3)
    }
}
