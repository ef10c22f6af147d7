import Attention
import Model
import Platform
import Text

/// The page at `/` without script: the content of `/api/v1/overview` as tables.
struct PlainPage {
    static let maxQueues = 500

    let content: OverviewContent
    let showsAllQueues: Bool

    init(_ content: OverviewContent, showsAllQueues: Bool = false) {
        self.content = content
        self.showsAllQueues = showsAllQueues
    }

    var title: String {
        let count = content.firingTroubles
        return count == 0 ? "asynq-collector" : "(\(count)) asynq-collector"
    }

    var html: String {
        head + attention + totals + queues + PlainDetails(content).html
            + "<p><a href=\"metrics\">/metrics</a> · <a href=\"api/v1/overview\">/api/v1/overview</a> · "
            + "<a href=\"api/v1/queues\">/api/v1/queues</a> · <a href=\"api/v1/dead-letters\">/api/v1/dead-letters</a> · "
            + "<a href=\"-/ready\">/-/ready</a></p>\n"
    }

    // MARK: Head

    private var head: String {
        let collector = content.collector
        let uptime = content.now.wall.duration(since: collector.startedAt).inSeconds
        var text = "<h1>asynq-collector <small>\(PlainHTML.escaped(collector.version))</small></h1>\n"
        text += "<p>On \(PlainHTML.foreign(collector.host)), process \(collector.pid), up for \(humanSpan(uptime)); "
        text += "made at \(content.now.wall.rfc3339)</p>\n"
        if let url = collector.redis { text += "<p>Redis: \(PlainHTML.escaped(url))</p>\n" }
        if let url = collector.tempo { text += "<p>Tempo: \(PlainHTML.escaped(url))</p>\n" }
        if case .unread(let reason?) = content.redis {
            text += "<p class=\"bad\">Redis can't be read: \(PlainHTML.escaped(reason))</p>\n"
            if let known = content.lastKnown {
                let age = content.now.wall.duration(since: known.takenAt).inSeconds
                text += "<p class=\"bad\">What follows is what was read \(humanSpan(age)) ago, at "
                text += "\(known.takenAt.rfc3339).</p>\n"
            }
        }
        return text
    }

    private var attention: String {
        if content.troubles.isEmpty {
            let text =
                if case .unread = content.redis {
                    "This collector has not read Redis yet: the first scrape takes place within "
                        + "\(humanSeconds(content.collector.interval.inSeconds))."
                } else if !content.hasLookedLongEnough {
                    "Nothing is known to be wrong so far; some conditions take a minute to tell. "
                        + "Looking at: \(OverviewDocument.lookedAt(content))."
                } else {
                    "Nothing is wrong. Looked at: \(OverviewDocument.lookedAt(content))."
                }
            return PlainHTML.panel("What needs attention", "<p>\(text)</p>")
        }
        let shown = content.listedTroubles
        var rows = shown.map { trouble in
            let since = content.now.wall.duration(since: trouble.since).inSeconds
            return [
                trouble.severity.rawValue, PlainHTML.whole(trouble.sentence), humanSpan(since),
                "<a href=\"runbook#\(trouble.condition.runbook)\">runbook</a>",
            ]
        }
        let more = content.troubles.count - shown.count
        if more > 0 { rows.append(["", "… and \(humanCount(more)) more", "", ""]) }
        return PlainHTML.section("What needs attention", ["severity", "what", "for#", "what to do"], rows)
    }

    // MARK: Queues

    /// A few numbers over all queues.
    private var totals: String {
        guard let snapshot = content.lastKnown else { return "" }
        func total(_ state: TaskState) -> Int64 { snapshot.queues.reduce(0) { $0 &+ ($1.size[state] ?? 0) } }
        func oldest(isPaused: Bool) -> Int64 {
            snapshot.queues.filter { ($0.isPaused == true) == isPaused }.compactMap(\.latencyNanoseconds).max() ?? 0
        }
        func rate(_ field: HistoryField) -> String {
            let known = content.rows.compactMap { content.history.rate(field, of: $0.name) }
            return known.isEmpty ? "–" : humanRate(known.reduce(0, +))
        }
        var facts: [(name: String, value: String)] = [
            ("pending", humanCount(total(.pending))),
            ("oldest", humanSeconds(Double(oldest(isPaused: false)) / 1e9)),
        ]
        // A task of a paused queue does not wait for a worker: the alert leaves it out, too.
        if oldest(isPaused: true) > 0 {
            facts.append(("oldest, paused", humanSeconds(Double(oldest(isPaused: true)) / 1e9)))
        }
        facts += [
            ("retry backlog", humanCount(total(.retry))), ("dead letters", humanCount(total(.archived))),
            ("enqueued", rate(.enqueued)), ("completed", rate(.completed)), ("failed", rate(.failed)),
        ]
        if let servers = snapshot.servers {
            let busy = servers.reduce(0) { $0 &+ $1.busyWorkers }
            let all = servers.reduce(0) { $0 &+ $1.concurrency }
            facts.append(("servers", humanCount(servers.count)))
            facts.append(("workers busy", "\(humanCount(busy)) of \(humanCount(all))"))
        } else if snapshot.serversProblem != nil {
            facts.append(("servers", "can't be read"))
        }
        return PlainHTML.facts("Totals", facts)
    }

    private var queues: String {
        if content.rows.isEmpty {
            return PlainHTML.panel("Queues", noQueues)
        }
        let columns =
            ["queue", "trouble"] + TaskState.allCases.map { $0.rawValue + "#" }
            + ["oldest#", "wait p50#", "p95#", "p99#", "enqueued#", "completed#", "failed#", "drains in#", "servers#"]
        let members = QueueMembers(content)
        let shown = showsAllQueues ? content.rows[...] : members.worstFirst(content.rows).prefix(Self.maxQueues)
        var table = PlainHTML.section("Queues", columns, shown.map { cells($0, members) })
        if shown.contains(where: { $0.isWaitSampled }) {
            table += "<p>≈ sampled in Redis, where no spans tell of waits: short ones are mostly missing.</p>\n"
        }
        let more = content.rows.count - shown.count
        if more > 0 {
            table += "<p><a href=\"?queues=all\">\(humanCount(more, "more queue"))</a></p>\n"
        }
        return table
    }

    /// The reason why there are no queues, and what to do next.
    private var noQueues: String {
        if case .unread = content.redis { return "<p>Queues stand here once Redis has been read.</p>" }
        guard let redis = content.collector.redis else {
            return "<p>No queues yet: redis.url is none, and no span has named one.</p>"
        }
        return
            "<p>No queues yet in \(PlainHTML.escaped(redis)). Is it the Redis, and the database, that your workers use? If so, "
            + "a first task makes the first queue:</p>\n" + PlainHTML.code(Hints(content.collector).firstTask)
    }

    private func cells(_ row: QueueReading, _ members: QueueMembers) -> [String] {
        let queue = row.snapshot
        let paused = queue?.isPaused == true ? " <em>paused</em>" : ""
        var cells = [PlainHTML.queue(row.name) + paused, members.trouble(row.name)?.rawValue ?? "–"]
        cells += TaskState.allCases.map { queue?.size[$0].map { humanCount($0) } ?? "–" }
        cells.append(queue?.latencyNanoseconds.map { humanSeconds(Double($0) / 1e9) } ?? "–")
        cells += (0..<3).map { index in
            row.wait.map { (row.isWaitSampled ? "≈ " : "") + humanSeconds($0[index]) } ?? "–"
        }
        for field in [HistoryField.enqueued, .completed, .failed] {
            cells.append(content.history.rate(field, of: row.name).map(humanRate) ?? "–")
        }
        cells.append(members.drain(row))
        cells.append(members.workers(row)?.consumers.description ?? "–")
        return cells
    }
}

extension QueueReading {
    fileprivate var isWaitSampled: Bool { wait != nil && waitOrigin == .redis }
}
