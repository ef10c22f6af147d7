import Model
import Text

/// Links that open a trace: in Grafana (`external-url.grafana`, `external-url.tempo-datasource`), or on the status page where spans
/// are kept in memory (`traces.recent-max-bytes`).
package struct TraceLinks: Sendable {
    /// The address of Grafana, without a slash at its end; nil where it is not configured.
    let grafana: String?
    /// The uid of the Tempo data source.
    let dataSource: String
    /// True if `/trace/{id}` has traces to show.
    let hasOwnPage: Bool

    package init(grafana: String, dataSource: String, hasOwnPage: Bool = false) {
        var base = grafana
        while base.hasSuffix("/") { base.removeLast() }
        self.grafana = base.isEmpty ? nil : base
        self.dataSource = dataSource.isEmpty ? "tempo" : dataSource
        self.hasOwnPage = hasOwnPage
    }

    /// The way to links, for pages on which trace ids are plain text; nil where they are links.
    var hint: String? {
        guard address(ofTrace: "") == nil else { return nil }
        return
            "To open traces from here, set external-url.grafana to the address of Grafana, or traces.recent-max-bytes, such as "
            + "16MiB, to keep the newest spans in memory."
    }

    /// Returns HTML for the page of one trace: no spans are kept, and where to go. Returns nil where some are kept.
    ///
    /// - Parameter trace: The trace; nil where the address has no trace id.
    func nothingKept(of trace: TraceID?) -> String? {
        if hasOwnPage { return nil }
        let reason = "No spans are kept in memory (traces.recent-max-bytes is 0). "
        if let hint { return PlainHTML.escaped(reason + hint) }
        guard let trace, let address = address(ofTrace: trace.hex) else {
            return reason + "A trace id is 32 hex digits, not all of them 0."
        }
        return reason + "<a href=\"\(PlainHTML.escaped(address))\">Open the trace in Grafana</a>"
    }

    /// Returns the trace id, as a link where something shows the trace.
    func html(_ trace: TraceID?) -> String {
        guard let trace else { return "–" }
        let text = "<code>\(trace.hex)</code>"
        guard let address = address(ofTrace: trace.hex) else { return text }
        return "<a href=\"\(PlainHTML.escaped(address))\">\(text)</a>"
    }

    /// Returns the address at which a trace can be opened, relative to the status page where the collector shows it itself; nil
    /// where it can't. The id stands in the address as it is given.
    func address(ofTrace id: String) -> String? {
        guard let grafana else { return hasOwnPage ? "trace/" + id : nil }
        // A word stands in the place of the id while it is encoded, so that a placeholder keeps its braces.
        let panes = PercentCoding.encode(panes("TRACE-ID"), plain: .unreserved)
        return "\(grafana)/explore?schemaVersion=1&panes=\(panes)&orgId=1".replacing("TRACE-ID", with: id)
    }

    /// Adds the addresses as documents have them, with names in braces for what has to be put in.
    func addMembers(to writer: inout JSONWriter) {
        writer.add("trace", address(ofTrace: "{trace_id}"))
        writer.add("trace_hint", hint)
        writer.add("queue", grafana.map { "\($0)/d/asynq-queues?var-queue={queue}" })
        writer.add("runbook", "runbook#")
    }

    /// Returns the state of Grafana's Explore page: one pane that asks Tempo for the trace.
    private func panes(_ trace: String) -> String {
        var source = JSONObject()
        source.add("type", "tempo")
        source.add("uid", dataSource)
        var query = JSONObject()
        query.add("refId", "A")
        query.add("datasource", source)
        query.add("queryType", "traceql")
        query.add("query", trace)
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
