/// Prometheus' text format, version 0.0.4.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
package enum TextEncoder {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package static func encode(_ families: [MetricFamily]) -> [UInt8] {
        var page: [UInt8] = []
        page.reserveCapacity(families.reduce(0) { $0 + 256 + $1.samples.count * 128 })
        for family in families {
            page += "# HELP \(family.name) ".utf8
            append(help: family.help, to: &page)
            page += "\n# TYPE \(family.name) \(family.kind.rawValue)\n".utf8
            let name = Array(family.name.utf8)
            for sample in family.samples {
                switch sample.value {
                case .number(let value):
                    appendSeries(name, [], sample.labels, le: nil, to: &page)
                    append(value, to: &page)
                    page.append(newline)
                case .histogram(let histogram):
                    append(histogram, name: name, labels: sample.labels, to: &page)
                }
            }
        }
        return page
    }

    private static let newline = UInt8(ascii: "\n")
    private static let bucketSuffix = Array("_bucket".utf8)
    private static let sumSuffix = Array("_sum".utf8)
    private static let countSuffix = Array("_count".utf8)

    private static func append(_ histogram: HistogramSnapshot, name: [UInt8], labels: LabelSet, to page: inout [UInt8]) {
        var cumulative: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            cumulative += count
            let bound = index < histogram.bounds.values.count ? histogram.bounds.values[index] : .infinity
            appendSeries(name, bucketSuffix, labels, le: bound, to: &page)
            append(integer: cumulative, to: &page)
            page.append(newline)
        }
        appendSeries(name, sumSuffix, labels, le: nil, to: &page)
        append(histogram.sum, to: &page)
        page.append(newline)
        appendSeries(name, countSuffix, labels, le: nil, to: &page)
        append(integer: cumulative, to: &page)
        page.append(newline)
    }

    /// `name_suffix{labels,le="0.5"} `, with the blank that precedes the value.
    private static func appendSeries(
        _ name: [UInt8], _ suffix: [UInt8], _ labels: LabelSet, le: Double?, to page: inout [UInt8]
    ) {
        page += name
        page += suffix
        if le != nil || !labels.encoded.isEmpty {
            page.append(UInt8(ascii: "{"))
            page += labels.encoded
            if let le {
                if !labels.encoded.isEmpty { page.append(UInt8(ascii: ",")) }
                page += "le=\"".utf8
                append(le, to: &page)
                page.append(UInt8(ascii: "\""))
            }
            page.append(UInt8(ascii: "}"))
        }
        page.append(UInt8(ascii: " "))
    }

    private static func append(help: String, to page: inout [UInt8]) {
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): page += "\\\\".utf8
            case newline: page += "\\n".utf8
            default: page.append(byte)
            }
        }
    }

    /// The shortest text that reads back as the same number; whole numbers without a fraction.
    static func append(_ value: Double, to page: inout [UInt8]) {
        if value.isNaN {
            page += "NaN".utf8
        } else if value.isInfinite {
            page += (value < 0 ? "-Inf" : "+Inf").utf8
        } else if value == value.rounded(.towardZero), abs(value) < 1e15 {
            if value < 0 { page.append(UInt8(ascii: "-")) }
            append(integer: UInt64(abs(value)), to: &page)
        } else {
            page += value.description.utf8
        }
    }

    private static func append(integer: UInt64, to page: inout [UInt8]) {
        if integer < 10 {
            page.append(UInt8(ascii: "0") + UInt8(integer))
        } else {
            page += String(integer).utf8
        }
    }
}
