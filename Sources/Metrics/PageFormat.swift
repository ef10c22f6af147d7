/// The formats of the metrics page.
package enum PageFormat: CaseIterable, Sendable {
    case text, openMetrics, protobuf

    package var contentType: String {
        switch self {
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .protobuf:
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        }
    }

    /// Hands the page to `sink`, in pieces, as it is made.
    package func encode(_ families: [MetricFamily], to sink: (UnsafeRawBufferPointer) -> Void) {
        var encoder = PageEncoder(self)
        for family in families { encoder.append(family, to: sink) }
        encoder.finish(to: sink)
    }

    /// Returns the page as a whole.
    package func encode(_ families: [MetricFamily]) -> [UInt8] {
        var page: [UInt8] = []
        encode(families) { page.append(contentsOf: $0) }
        return page
    }
}

/// The format that an `Accept` header asks for.
///
/// Prometheus sends, for example (2.42 with native histograms, and 3.5):
///
///     application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,
///     application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,
///     text/plain;version=0.0.4;q=0.5,*/*;q=0.1
///
///     application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,
///     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2
///
/// The highest q wins, then the first in the header. A header that asks for other formats only gets the text format
/// 0.0.4, and so does `*/*`: no scraper is refused.
package struct PageRequest: Equatable, Sendable {
    package var format = PageFormat.text
    /// The way of escaping names that the scraper asked for. The collector's names need none, so every way leaves them as they are,
    /// except `dots`, which would double their underscores: then the answer names what was done instead.
    package var escaping: String?

    /// Reads an `Accept` header, its lines joined by commas.
    package init(accept: String) {
        var best = 0.0
        for part in accept.split(separator: ",").prefix(Self.maxRanges) {
            let range = MediaRange(part)
            guard range.quality > best, let format = range.format else { continue }
            best = range.quality
            self.format = format
            escaping = range.parameters["escaping"].flatMap { Self.escapings[$0] }
        }
    }

    package var contentType: String {
        format.contentType + (escaping.map { "; escaping=\($0)" } ?? "")
    }

    private static let maxRanges = 100
    private static let escapings = [
        "allow-utf-8": "allow-utf-8", "underscores": "underscores", "values": "values", "dots": "underscores",
    ]
}

/// One of the media ranges of an `Accept` header (RFC 9110, 12.5.1).
private struct MediaRange {
    let type: String
    var parameters: [String: String] = [:]
    /// The quality, 0 to 1. One that can't be read is 0: no client asked for that.
    var quality = 1.0

    init(_ text: Substring) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)
        type = (parts.first ?? "").lowercased()
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let name = Self.trimmed(part[..<equals]).lowercased()
            var value = Self.trimmed(part[part.index(after: equals)...])
            if value.count >= 2 && value.hasPrefix("\"") && value.hasSuffix("\"") {
                value = value.dropFirst().dropLast()
            }
            if name == "q" {
                let quality = Double(value) ?? 0
                self.quality = (0...1).contains(quality) ? quality : 0
            } else {
                parameters[name] = String(value)
            }
        }
    }

    /// The format, among those that the collector writes, that it takes.
    var format: PageFormat? {
        switch type {
        case "application/openmetrics-text": ["1.0.0", nil].contains(parameters["version"]) ? .openMetrics : nil
        case "text/plain": ["0.0.4", nil].contains(parameters["version"]) ? .text : nil
        case "application/vnd.google.protobuf":
            parameters["proto"] == "io.prometheus.client.MetricFamily" && parameters["encoding"] == "delimited"
                ? .protobuf : nil
        case "application/*": .openMetrics
        case "text/*", "*/*": .text
        default: nil
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
        let rest = text.drop(while: isBlank)
        return rest.lastIndex { !isBlank($0) }.map { rest[...$0] } ?? ""
    }
}
