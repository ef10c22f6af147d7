import Attention
import Model
import Platform
import Text
import WaitTime

/// The part below the queues on the page without script.
struct PlainDetails {
    private static let maxDeadLetters = 20
    private static let maxRunning = 100
    private static let maxUnread = 10

    let content: OverviewContent

    init(_ content: OverviewContent) {
        self.content = content
    }

    var html: String {
        noSpans + errors + slowest + deadLetters + traceHint + servers + running + cron + spans + memory
    }

    /// The span of the rates: a quarter of an hour, or less where the collector has not run so long.
    private var span: String {
        humanSpan(min(900, max(1, content.now.wall.duration(since: content.collector.startedAt).inSeconds)))
    }

    private func ago(_ time: WallTime) -> String {
        "\(humanSeconds(max(0, content.now.wall.duration(since: time).inSeconds))) ago"
    }

    /// The lines that a worker needs, while no span has come.
    private var noSpans: String {
        guard content.spans?.received == 0 else { return "" }
        guard let lines = Hints(content.collector).worker else {
            return PlainHTML.panel(
                "No span has arrived yet",
                "<p>This collector receives none: otlp.listen and otlp.socket are none.</p>")
        }
        let addresses = content.collector.receivesAt.map { PlainHTML.escaped($0) }.joined(separator: ", ")
        return PlainHTML.panel(
            "No span has arrived yet",
            "<p>Queues come from Redis alone so far. Spans are received at \(addresses). A Go worker sends them so:</p>\n"
                + PlainHTML.code(lines))
    }

    private var errors: String {
        let rows = content.errors.prefix(OverviewDocument.maxErrors).map { group in
            [
                PlainHTML.queue(group.queue), PlainHTML.foreign(group.taskType), PlainHTML.message(group.error),
                group.attempts == 0 ? "–" : humanCount(group.attempts), humanCount(group.deadLetters),
                ago(group.lastSeen),
                content.links.html(group.example.trace),
            ]
        }
        let more = content.errors.count - rows.count
        return PlainHTML.section(
            "Errors", ["queue", "type", "error", "attempts#", "dead letters#", "last seen#", "trace"], rows)
            + unreadLetters + attemptsWithoutSpans
            + (more > 0 ? "<p><a href=\"api/v1/errors\">\(humanCount(more, "more error"))</a></p>\n" : "")
    }

    /// The reason why errors have fewer attempts than dead letters.
    private var attemptsWithoutSpans: String {
        let areFewer = content.errors.prefix(OverviewDocument.maxErrors).contains { $0.attempts < $0.deadLetters }
        return areFewer
            ? "<p>Attempts are counted from spans, dead letters from Redis; a panic may have another text in each.</p>\n"
            : ""
    }

    /// The queues with dead letters that no error has, in the words of the page and of `top`.
    private var unreadLetters: String {
        content.rows.compactMap(\.snapshot).filter { $0.unreadDeadLetters > 0 }.prefix(Self.maxUnread).map { queue in
            let died = queue.deadLettered ?? 0
            let read = died - min(died, queue.unreadDeadLetters)
            return
                "<p>\(PlainHTML.queue(queue.name)): \(humanCount(read)) of \(humanCount(died, "dead letter")) \(read == 1 ? "was" : "were") "
                + "read; the others came too fast, and are in no group of errors.</p>\n"
        }.joined()
    }

    /// The tasks that the servers run now, the longest-running first.
    private var running: String {
        let tasks = (content.lastKnown?.servers ?? []).flatMap { server in server.running.map { (server, $0) } }
            .sorted { $0.1.startedAt < $1.1.startedAt }
        let rows = tasks.prefix(Self.maxRunning).map { server, task in
            [
                PlainHTML.queue(task.queue), PlainHTML.foreign(task.type), PlainHTML.foreign(task.id),
                humanSeconds(max(0, content.now.wall.duration(since: task.startedAt).inSeconds)),
                "\(PlainHTML.foreign(server.host)), process \(server.pid)",
            ]
        }
        return PlainHTML.section("Running now", ["queue", "type", "id", "for#", "server"], rows)
    }

    private var slowest: String {
        let rows = content.slowestWaits.map { wait in
            [
                PlainHTML.queue(wait.queue), PlainHTML.foreign(wait.type), humanSeconds(wait.seconds),
                "\(humanSeconds(content.now.monotonic.seconds(since: wait.observedAt))) ago",
                content.links.html(wait.span?.trace),
            ]
        }
        return PlainHTML.section(
            "Slowest waits of the last \(span)", ["queue", "type", "wait#", "seen#", "trace"], rows)
    }

    private var deadLetters: String {
        let rows = content.deadLetters.prefix(Self.maxDeadLetters).map { letter in
            [
                PlainHTML.queue(letter.task.queue), PlainHTML.foreign(ForeignText(letter.task.id)),
                PlainHTML.foreign(letter.type), ago(letter.archivedAt), String(letter.retried),
                PlainHTML.whole(letter.errorMessage.cut(to: 200).printable),
                content.links.html(letter.trace),
            ]
        }
        return PlainHTML.section(
            "Newest dead letters", ["queue", "id", "type", "died#", "retried#", "error", "trace"], rows)
    }

    /// The way to links, where trace ids are plain text.
    private var traceHint: String {
        let hasTraces =
            content.errors.contains { $0.example.trace != nil } || content.slowestWaits.contains { $0.span != nil }
            || content.deadLetters.contains { $0.context != nil }
        guard hasTraces, let hint = content.links.hint else { return "" }
        return "<p>\(PlainHTML.escaped(hint))</p>\n"
    }

    private var servers: String {
        let servers = (content.lastKnown?.servers ?? []).sorted { $0.id < $1.id }
        let rows = servers.map { server in
            let queues = ServerQueues(server)
            let rest = queues.total - queues.first.count
            return [
                PlainHTML.foreign(server.host), String(server.pid), PlainHTML.foreign(server.status),
                "\(humanCount(server.busyWorkers)) of \(humanCount(server.concurrency))",
                queues.first.map { PlainHTML.name($0.name) }.joined(separator: ", ")
                    + (rest > 0 ? " and \(humanCount(rest, "more queue"))" : ""),
            ]
        }
        return unread("Servers", content.lastKnown?.serversProblem)
            + PlainHTML.section("Servers", ["host", "pid#", "status", "workers busy#", "queues"], rows)
    }

    /// Returns why entries are missing; empty where none is.
    private func unread(_ heading: String, _ problem: String?) -> String {
        guard let problem else { return "" }
        return "<p class=\"bad\">\(heading) that can't be read: \(PlainHTML.foreign(problem))</p>\n"
    }

    private var cron: String {
        let entries = (content.lastKnown?.schedulerEntries ?? []).sorted { $0.id < $1.id }
        let rows = entries.map { entry in
            [
                PlainHTML.foreign(entry.taskType), PlainHTML.foreign(entry.spec),
                due(entry), entry.nextEnqueue?.rfc3339 ?? "–", entry.previousEnqueue.map(ago) ?? "–",
                entry.lastEnqueued.map(ago) ?? "–",
            ]
        }
        return unread("Cron entries", content.lastKnown?.cronProblem)
            + PlainHTML.section("Cron entries", ["type", "spec", "due#", "next", "last tick#", "last enqueued#"], rows)
    }

    /// Returns how far away the next tick is.
    private func due(_ entry: SchedulerEntrySnapshot) -> String {
        guard let time = entry.nextEnqueue else { return "–" }
        let late = content.now.wall.duration(since: time).inSeconds
        if late < 0 { return "in \(humanSpan(-late))" }
        return entry.isOverdue(at: content.knownAt)
            ? "<span class=\"bad\">\(humanSpan(late)) overdue</span>" : "\(humanSpan(late)) ago"
    }

    // MARK: Spans

    private var spans: String {
        var facts: [(name: String, value: String)] = []
        if let spans = content.spans {
            facts = [
                ("received", String(spans.received)), ("accepted", String(spans.accepted)),
                ("refused", total(spans.refused)),
            ]
            if let spooled = spans.spooled {
                facts += [
                    ("forwarded", String(spooled.forwarded)), ("in the spool", String(spooled.inSpool)),
                    ("dropped", total(spooled.dropped)),
                ]
            }
        } else {
            facts.append(("spool", "its disk does not answer"))
        }
        if let spool = content.spool, spool.capacityBytes > 0 {
            facts.append(("spool full", humanShare(Double(spool.bytes) / Double(spool.capacityBytes))))
            facts.append(("oldest span", humanSpan(spool.oldestAgeSeconds)))
        }
        facts.append(("forwarder", PlainHTML.escaped(content.forwarder?.text ?? "off (tempo.endpoint is none)")))
        return PlainHTML.facts("Spans", facts)
    }

    /// Returns the sum, and the parts by reason.
    private func total(_ counts: [String: UInt64]) -> String {
        let sum = String(counts.values.reduce(0, +))
        let reasons = counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return reasons.isEmpty ? sum : "\(sum) (\(reasons.joined(separator: ", ")))"
    }

    private var memory: String {
        let rows = content.memory.map { part in
            [PlainHTML.escaped(part.part), humanBytes(part.bytes), part.limitBytes.map(humanBytes) ?? "–"]
        }
        return PlainHTML.section("Memory", ["part", "takes#", "limit#"], rows)
    }
}
