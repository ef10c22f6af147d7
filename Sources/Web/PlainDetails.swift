import Attention
import Model
import Platform
import Text
import WaitTime

/// What stands below the queues on the page without script.
struct PlainDetails {
    private static let maxDeadLetters = 20

    let content: OverviewContent

    init(_ content: OverviewContent) {
        self.content = content
    }

    var html: String { slowest + deadLetters + servers + cron + spans + memory }

    private func ago(_ time: WallTime) -> String {
        "\(humanSeconds(max(0, content.now.wall.duration(since: time).inSeconds))) ago"
    }

    private var slowest: String {
        let rows = content.slowestWaits.map { wait in
            [
                PlainHTML.foreign(wait.queue), PlainHTML.foreign(wait.type), humanSeconds(wait.seconds),
                "\(humanSeconds(content.now.monotonic.seconds(since: wait.observedAt))) ago",
                content.links.html(wait.span?.trace),
            ]
        }
        return PlainHTML.section(
            "Slowest waits of the last 15 minutes", ["queue", "type", "wait#", "seen#", "trace"], rows)
    }

    private var deadLetters: String {
        let rows = content.deadLetters.prefix(Self.maxDeadLetters).map { letter in
            [
                PlainHTML.foreign(letter.task.queue), PlainHTML.foreign(ForeignText(letter.task.id)),
                PlainHTML.foreign(letter.type), ago(letter.archivedAt), String(letter.retried),
                "<bdi>\(PlainHTML.escaped(letter.errorMessage.cut(to: 200).printable))</bdi>",
                content.links.html(letter.context?.reference.trace),
            ]
        }
        return PlainHTML.section(
            "Newest dead letters", ["queue", "id", "type", "died#", "retried#", "error", "trace"], rows)
    }

    private var servers: String {
        let servers = (content.lastKnown?.servers ?? []).sorted { $0.id < $1.id }
        let rows = servers.map { server in
            [
                PlainHTML.foreign(server.host), String(server.pid), PlainHTML.foreign(server.status),
                "\(humanCount(server.busyWorkers)) of \(humanCount(server.concurrency))",
                Set(server.queues).sorted().map { PlainHTML.foreign($0) }.joined(separator: ", "),
            ]
        }
        return PlainHTML.section("Servers", ["host", "pid#", "status", "workers busy#", "queues"], rows)
    }

    private var cron: String {
        let entries = (content.lastKnown?.schedulerEntries ?? []).sorted { $0.id < $1.id }
        let rows = entries.map { entry in
            [
                PlainHTML.foreign(entry.taskType), PlainHTML.foreign(entry.spec),
                entry.nextEnqueue?.rfc3339 ?? "–", entry.previousEnqueue.map(ago) ?? "–",
                entry.lastEnqueued.map(ago) ?? "–",
            ]
        }
        return PlainHTML.section("Cron entries", ["type", "spec", "next", "last tick#", "last enqueued#"], rows)
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

    /// The sum, and by reason.
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
