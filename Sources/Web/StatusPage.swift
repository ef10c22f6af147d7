import Model
import WaitTime

/// The page at `/`: one document without any outside resource or script; it renews itself every five seconds.
package enum StatusPage {
    private static let maxDeadLetters = 10

    package static func html(_ content: StatusContent) -> [UInt8] {
        var page = head
        page += "<h1>asynq-collector <small>\(content.version)</small></h1>\n"
        if let url = content.redisURL { page += "<p>Redis: \(escaped(url))</p>\n" }
        if case .unread(let reason) = content.redis {
            page += "<p class=\"bad\">Redis can't be read: \(escaped(reason ?? "not scraped yet"))</p>\n"
        }
        page += summary(content) + queueTable(content)
        page += slowestTable(content) + deadLetterTable(content) + spanTable(content)
        page +=
            "<p><a href=\"/metrics\">/metrics</a> · <a href=\"/api/v1/queues\">/api/v1/queues</a> · "
            + "<a href=\"/api/v1/dead-letters\">/api/v1/dead-letters</a> · <a href=\"/-/ready\">/-/ready</a></p>\n"
        return Array((page + "</main></body></html>\n").utf8)
    }

    /// A few numbers over all queues.
    private static func summary(_ content: StatusContent) -> String {
        guard let snapshot = content.redis.snapshot else { return "" }
        func total(_ state: TaskState) -> Int64 { snapshot.queues.reduce(0) { $0 &+ ($1.size[state] ?? 0) } }
        func oldest(isPaused: Bool) -> Int64 {
            snapshot.queues.filter { ($0.isPaused == true) == isPaused }.compactMap(\.latencyNanoseconds).max() ?? 0
        }
        var tiles: [(name: String, value: String, isBad: Bool)] = [
            ("pending", String(total(.pending)), false),
            ("oldest", humanSeconds(Double(oldest(isPaused: false)) / 1e9), false),
            ("retry backlog", String(total(.retry)), total(.retry) > 0),
            ("dead letters", String(total(.archived)), total(.archived) > 0),
        ]
        // A task of a paused queue does not wait for a worker: the alert leaves it out, too.
        if oldest(isPaused: true) > 0 {
            tiles.insert(("oldest, paused", humanSeconds(Double(oldest(isPaused: true)) / 1e9), false), at: 2)
        }
        if let servers = snapshot.servers {
            let busy = servers.reduce(0) { $0 &+ $1.busyWorkers }
            let all = servers.reduce(0) { $0 &+ $1.concurrency }
            tiles.append(("servers", String(servers.count), servers.isEmpty && total(.pending) > 0))
            tiles.append(("workers busy", "\(busy) of \(all)", false))
        }
        let items = tiles.map { tile in
            "<div\(tile.isBad ? " class=\"bad\"" : "")><b>\(tile.value)</b>\(tile.name)</div>"
        }
        return "<div class=\"tiles\">\(items.joined())</div>\n"
    }

    private static func queueTable(_ content: StatusContent) -> String {
        if content.rows.isEmpty {
            return "<p>No queues yet\(content.redisURL.map { " in \(escaped($0))" } ?? "").</p>\n"
        }
        let states: [TaskState] = [.pending, .active, .scheduled, .retry, .archived, .completed, .aggregating]
        var table = "<h2>Queues</h2>\n<div class=\"wide\"><table><thead><tr><th>queue</th>"
        table += states.map { "<th>\($0.rawValue)</th>" }.joined()
        table +=
            "<th>oldest</th><th>wait p50</th><th>p95</th><th>p99</th><th>pending</th><th>p95, 10 min</th></tr></thead>"
        table += "<tbody>\n"
        for row in content.rows {
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
            let points = content.history[row.name] ?? []
            table += "<td>\(Sparkline.svg(points.map { $0.pending.map { Double($0) } }, title: "pending tasks"))</td>"
            table += "<td>\(Sparkline.svg(points.map(\.waitP95), title: "95th percentile of the wait"))</td></tr>\n"
        }
        return table + "</tbody></table></div>\n"
    }

    private static func slowestTable(_ content: StatusContent) -> String {
        if content.slowestWaits.isEmpty { return "" }
        var table =
            "<h2>Slowest waits of the last 15 minutes</h2>\n<div class=\"wide\"><table><thead><tr><th>queue</th>"
        table += "<th>type</th><th>wait</th><th>seen</th><th>trace</th></tr></thead><tbody>\n"
        for wait in content.slowestWaits {
            let age = content.now.monotonic.seconds(since: wait.observedAt)
            table += "<tr><th>\(escaped(wait.queue.text))</th><td>\(wait.type.map { escaped($0.text) } ?? "–")</td>"
            table += "<td>\(humanSeconds(wait.seconds))</td><td>\(humanSeconds(age)) ago</td>"
            table += "<td>\(content.links.html(wait.span?.trace))</td></tr>\n"
        }
        return table + "</tbody></table></div>\n"
    }

    private static func deadLetterTable(_ content: StatusContent) -> String {
        if content.deadLetters.isEmpty { return "" }
        var table = "<h2>Newest dead letters</h2>\n<div class=\"wide\"><table><thead><tr><th>queue</th><th>type</th>"
        table += "<th>died</th><th>retried</th><th>error</th><th>trace</th></tr></thead><tbody>\n"
        for letter in content.deadLetters.prefix(maxDeadLetters) {
            let age = Double(max(0, content.now.wall.nanoseconds(since: letter.archivedAt))) / 1e9
            table += "<tr><th>\(escaped(letter.task.queue.text))</th><td>\(escaped(letter.type.text))</td>"
            table += "<td>\(humanSeconds(age)) ago</td><td>\(letter.retried)</td>"
            table += "<td class=\"text\">\(escaped(letter.errorMessage.cut(to: 200).text))</td>"
            table += "<td>\(content.links.html(letter.context?.reference.trace))</td></tr>\n"
        }
        return table + "</tbody></table></div>\n"
    }

    private static func spanTable(_ content: StatusContent) -> String {
        var table = "<h2>Spans</h2>\n<table><tbody>\n"
        guard let spans = content.spans else {
            return table + "<tr><th>spool</th><td class=\"bad\">its disk does not answer</td></tr>\n"
                + forwarder(content)
        }
        table += row("received", spans.received) + row("accepted", spans.accepted) + row("refused", spans.refused)
        if let spooled = spans.spooled {
            table += row("forwarded", spooled.forwarded) + row("in the spool", spooled.inSpool)
            table += row("dropped", spooled.dropped)
        }
        return table + forwarder(content)
    }

    private static func forwarder(_ content: StatusContent) -> String {
        "<tr><th>forwarder</th><td>\(escaped(content.forwarderState))</td></tr>\n</tbody></table>\n"
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
        main { max-width: 80rem; margin: auto; padding: 1rem }
        h1 small { font-weight: normal; opacity: .6 }
        .wide { overflow-x: auto }
        table { border-collapse: collapse }
        th, td { padding: .2rem .45rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap }
        td { font-variant-numeric: tabular-nums }
        th:first-child { text-align: left }
        td.text { text-align: left; white-space: normal; min-width: 12rem; overflow-wrap: anywhere }
        .bad { color: #d33 }
        .tiles { display: flex; flex-wrap: wrap; gap: .5rem }
        .tiles div { border: 1px solid #8884; border-radius: .5rem; padding: .4rem .8rem; min-width: 6rem }
        .tiles b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums }
        .spark { width: 5rem; height: 1.2rem; vertical-align: middle }
        .spark polyline { fill: none; stroke: currentColor; vector-effect: non-scaling-stroke }
        </style></head><body><main>

        """
}
