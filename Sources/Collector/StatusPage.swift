import AsynqRedis
import Metrics
import Model
import SpanReceiver
import Spool

/// What the status page and the demo's table show of one queue.
struct QueueRow {
    let name: QueueName
    let snapshot: QueueSnapshot?
    /// p50, p95, p99 in seconds.
    let wait: [Double]?

    /// All queues that Redis or spans name, sorted.
    static func all(_ snapshot: RedisSnapshot?, waits: [QueueName: [Double]]) -> [QueueRow] {
        let snapshots = Dictionary((snapshot?.queues ?? []).map { ($0.name, $0) }) { first, _ in first }
        return Set(snapshots.keys).union(waits.keys).sorted().map {
            QueueRow(name: $0, snapshot: snapshots[$0], wait: waits[$0])
        }
    }
}

/// Seconds as people say them: `850 µs`, `12 ms`, `3.4 s`, `5 min`.
func humanSeconds(_ seconds: Double) -> String {
    func rounded(_ value: Double) -> String {
        if value >= 99.5 { return String(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
    }
    // Stamps from outside end up here: no Int for a number that has none.
    guard seconds < 1e15 else { return "∞" }
    switch seconds {
    case ..<1e-6: return "0"
    case ..<1e-3: return rounded(seconds * 1e6) + " µs"
    case ..<1: return rounded(seconds * 1e3) + " ms"
    case ..<120: return rounded(seconds) + " s"
    case ..<7200: return rounded(seconds / 60) + " min"
    default: return rounded(seconds / 3600) + " h"
    }
}

/// The page at `/`: one document without any outside resource or script; it renews itself every five seconds.
enum StatusPage {
    static func html(
        redis: RedisStatus?, rows: [QueueRow], books: Books?, forwarderState: String
    ) -> [UInt8] {
        var page = head
        page += "<h1>asynq-collector <small>\(BuildInfo.version)</small></h1>\n"
        if let redis, redis.snapshot == nil {
            let reason = redis.lastError ?? "not scraped yet"
            page += "<p class=\"bad\">Redis can't be read: \(escaped(reason))</p>\n"
        }
        page += queueTable(rows)
        page += "<h2>Spans</h2>\n<table><tbody>\n"
        if let counters = books?.received {
            let refused = counters.refused.values.reduce(0, +)
            page += row("received", counters.accepted + refused) + row("accepted", counters.accepted)
            page += row("refused", refused)
        } else {
            page += "<tr><th>spool</th><td class=\"bad\">its disk does not answer</td></tr>\n"
        }
        if let spool = books?.spooled {
            page += row("forwarded", spool.deliveredSpans) + row("in the spool", UInt64(max(0, spool.spans)))
            page += row("dropped", spool.droppedSpans.values.reduce(0, +))
        }
        page += "<tr><th>forwarder</th><td>\(escaped(forwarderState))</td></tr>\n</tbody></table>\n"
        page += "<p><a href=\"/metrics\">/metrics</a> · <a href=\"/-/ready\">/-/ready</a></p>\n</main></body></html>\n"
        return Array(page.utf8)
    }

    private static func queueTable(_ rows: [QueueRow]) -> String {
        if rows.isEmpty { return "<p>No queues yet.</p>\n" }
        let states: [TaskState] = [.pending, .active, .scheduled, .retry, .archived, .completed, .aggregating]
        var table = "<h2>Queues</h2>\n<div class=\"wide\"><table><thead><tr><th>queue</th>"
        table += states.map { "<th>\($0.rawValue)</th>" }.joined()
        table += "<th>oldest</th><th>wait p50</th><th>p95</th><th>p99</th></tr></thead><tbody>\n"
        for row in rows {
            let paused = row.snapshot?.isPaused == true ? " <em>paused</em>" : ""
            table += "<tr><th>\(escaped(row.name.text))\(paused)</th>"
            for state in states {
                let count = row.snapshot?.size[state]
                let isBad = (state == .archived || state == .retry) && (count ?? 0) > 0
                table += "<td\(isBad ? " class=\"bad\"" : "")>\(count.map(String.init) ?? "–")</td>"
            }
            let latency = row.snapshot?.latencyNanoseconds.map { humanSeconds(Double($0) / 1e9) }
            table += "<td>\(latency ?? "–")</td>"
            for index in 0..<3 { table += "<td>\(row.wait.map { humanSeconds($0[index]) } ?? "–")</td>" }
            table += "</tr>\n"
        }
        return table + "</tbody></table></div>\n"
    }

    private static func row(_ name: String, _ count: UInt64) -> String {
        "<tr><th>\(name)</th><td>\(count)</td></tr>\n"
    }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    private static let head = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
        <meta name="viewport" content="width=device-width, initial-scale=1"><title>asynq-collector</title>
        <style>
        :root { color-scheme: light dark }
        body { font: 15px/1.5 system-ui, sans-serif; margin: 0 }
        main { max-width: 70rem; margin: auto; padding: 1rem }
        h1 small { font-weight: normal; opacity: .6 }
        .wide { overflow-x: auto }
        table { border-collapse: collapse }
        th, td { padding: .2rem .45rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap }
        td { font-variant-numeric: tabular-nums }
        th:first-child { text-align: left }
        .bad { color: #d33 }
        </style></head><body><main>

        """
}
