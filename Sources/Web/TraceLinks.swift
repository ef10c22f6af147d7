import Model

/// Links that open a trace in Grafana (`external-url.grafana`, `external-url.tempo-datasource`).
package struct TraceLinks: Sendable {
    /// Without a slash at its end; nil: there are no links.
    let grafana: String?
    /// The uid of the Tempo data source.
    let dataSource: String

    package init(grafana: String, dataSource: String) {
        var base = grafana
        while base.hasSuffix("/") { base.removeLast() }
        self.grafana = base.isEmpty ? nil : base
        self.dataSource = dataSource.isEmpty ? "tempo" : dataSource
    }

    /// The trace id, as a link where there is a Grafana.
    func html(_ trace: TraceID?) -> String {
        guard let trace else { return "–" }
        let text = "<code>\(trace.hex)</code>"
        guard let grafana else { return text }
        let uid = escapedJSON(dataSource)
        let query =
            "{\"refId\":\"A\",\"datasource\":{\"type\":\"tempo\",\"uid\":\"\(uid)\"},\"queryType\":\"traceql\","
            + "\"query\":\"\(trace.hex)\"}"
        let panes =
            "{\"t\":{\"datasource\":\"\(uid)\",\"queries\":[\(query)],\"range\":{\"from\":\"now-24h\",\"to\":\"now\"}}}"
        let address = "\(grafana)/explore?schemaVersion=1&panes=\(Self.percentEncoded(panes))&orgId=1"
        return "<a href=\"\(StatusPage.escaped(address))\">\(text)</a>"
    }

    /// RFC 3986, 2.3: all but the unreserved characters.
    private static func percentEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return encoded
    }
}
