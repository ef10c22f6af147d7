import Model
import Text

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
        let address =
            "\(grafana)/explore?schemaVersion=1&panes=\(PercentCoding.encode(panes(trace), plain: .unreserved))&orgId=1"
        return "<a href=\"\(StatusPage.escaped(address))\">\(text)</a>"
    }

    /// The state of Grafana's Explore page: one pane that asks Tempo for the trace.
    private func panes(_ trace: TraceID) -> String {
        var source = JSONObject()
        source.add("type", "tempo")
        source.add("uid", dataSource)
        var query = JSONObject()
        query.add("refId", "A")
        query.add("datasource", source)
        query.add("queryType", "traceql")
        query.add("query", trace.hex)
        var range = JSONObject()
        range.add("from", "now-24h")
        range.add("to", "now")
        var pane = JSONObject()
        pane.add("datasource", dataSource)
        pane.add("queries", [query])
        pane.add("range", range)
        var panes = JSONObject()
        panes.add("t", pane)
        return panes.text
    }
}
