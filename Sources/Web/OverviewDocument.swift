import Attention
import Model
import Platform
import Text
import WaitTime

/// The JSON of `/api/v1/overview`, which the status page and `top` show.
package enum OverviewDocument {
    static let maxLetters = 20
    static let maxErrors = 20
    static let maxRunning = 100

    /// Returns the document, and the number of bytes at its beginning that say when it was made.
    package static func json(_ content: OverviewContent, since: Int64?) -> (bytes: [UInt8], changing: Int) {
        let window = HistoryWindow(content.history, now: content.now, since: since)
        var writer = JSONWriter()
        var changing = 0
        writer.object { writer in
            writer.add("now", content.now.wall.rfc3339)
            changing = writer.bytes.count
            writer.object("collector") { add(content.collector, to: &$0) }
            writer.object("links") { content.links.addMembers(to: &$0) }
            writer.object("hints") { writer in
                let hints = Hints(content.collector)
                writer.add("first_task", hints.firstTask)
                writer.add("worker", hints.worker)
            }
            writer.object("redis") { addRedis(content, to: &$0) }
            addTroubles(content.listedTroubles, to: &writer)
            writer.add("attention_total", Int64(content.troubles.count))
            writer.add("attention_firing", Int64(content.firingTroubles))
            writer.add("looked_at", lookedAt(content))
            writer.add("looked_long_enough", content.hasLookedLongEnough)
            writer.object("totals") { addTotals(content, to: &$0) }
            writer.object("history") { window.addMembers(to: &$0) }
            let queues = QueueMembers(content)
            writer.array("queues") { writer in
                for row in content.rows {
                    writer.object { writer in
                        queues.add(row, to: &writer)
                        let columns = content.history[row.name]
                        writer.object("history") { writer in
                            window.add("pending", .pending, of: columns, to: &writer)
                            window.add("completed", .completed, of: columns, to: &writer)
                            window.add("wait_p95", .waitP95, of: columns, to: &writer)
                        }
                    }
                }
            }
            addServers(content, to: &writer)
            writer.add("servers_problem", content.lastKnown?.serversProblem)
            addCron(content, to: &writer)
            writer.add("cron_problem", content.lastKnown?.cronProblem)
            addErrors(content.errors, to: &writer)
            writer.add("errors_total", Int64(content.errors.count))
            addLetters(content.deadLetters.prefix(maxLetters), to: &writer)
            addWaits(content.slowestWaits, content, to: &writer)
            addSpans(content, to: &writer)
        }
        return (writer.bytes + "\n".utf8, changing)
    }

    // MARK: Head

    private static func add(_ collector: CollectorIdentity, to writer: inout JSONWriter) {
        writer.add("version", collector.version)
        writer.add("page", PageFiles.hash)
        writer.add("host", collector.host)
        writer.add("pid", collector.pid)
        writer.add("started_at", collector.startedAt.rfc3339)
        writer.add("redis", collector.redis)
        writer.add("tempo", collector.tempo)
        writer.add("interval_seconds", rounded: collector.interval.inSeconds)
        writer.array("receives_at") { writer in for address in collector.receivesAt { writer.element(address) } }
    }

    private static func addRedis(_ content: OverviewContent, to writer: inout JSONWriter) {
        var error: String?
        let state =
            switch content.redis {
            case .off: "off"
            case .read: "read"
            case .unread: content.isStale ? "stale" : "unread"
            }
        if case .unread(let reason) = content.redis { error = reason }
        writer.add("state", state)
        writer.add("read_at", content.lastKnown?.takenAt.rfc3339)
        writer.add("error", error)
    }

    static func addTroubles(_ troubles: some Sequence<Trouble>, to writer: inout JSONWriter) {
        writer.array("attention") { writer in
            for trouble in troubles {
                writer.object { writer in
                    writer.add("alert", trouble.condition.alert)
                    writer.add("severity", trouble.severity.rawValue)
                    writer.add("firing", trouble.isFiring)
                    writer.add("queue", trouble.queue?.printable)
                    writer.add("subject", trouble.subject.rawValue)
                    writer.add("global", trouble.isGlobal)
                    writer.add("sentence", trouble.sentence)
                    writer.add("since", trouble.since.rfc3339)
                    writer.add("runbook", trouble.condition.runbook)
                }
            }
        }
    }

    static func lookedAt(_ content: OverviewContent) -> String {
        var parts = [humanCount(content.rows.count, "queue")]
        if let servers = content.lastKnown?.servers { parts.append(humanCount(servers.count, "server")) }
        if let entries = content.lastKnown?.schedulerEntries {
            parts.append(humanCount(entries.count, "cron entry", "cron entries"))
        }
        if content.collector.redis != nil { parts.append("Redis") }
        if content.collector.tempo != nil { parts += ["Tempo", "the spool"] }
        if parts.count == 1 { return parts[0] }
        return parts.dropLast().joined(separator: ", ") + " and " + (parts.last ?? "")
    }

    private static func addTotals(_ content: OverviewContent, to writer: inout JSONWriter) {
        let queues = content.rows.compactMap(\.snapshot)
        for state in TaskState.allCases {
            let known = queues.compactMap { $0.size[state] }
            writer.add(state.member, known.isEmpty && content.lastKnown == nil ? nil : known.reduce(0, &+))
        }
        func rate(_ field: HistoryField) -> Double? {
            let known = content.rows.compactMap { content.history.rate(field, of: $0.name) }
            return known.isEmpty ? nil : known.reduce(0, +)
        }
        writer.add("enqueued_per_second", rounded: rate(.enqueued))
        writer.add("completed_per_second", rounded: rate(.completed))
        writer.add("failed_per_second", rounded: rate(.failed))
    }

    // MARK: Lists

    static func addServers(_ content: OverviewContent, to writer: inout JSONWriter) {
        guard let servers = content.lastKnown?.servers else { return writer.add("servers", nil as String?) }
        writer.array("servers") { writer in
            for server in servers.sorted(by: { $0.id < $1.id }) {
                writer.object { writer in
                    writer.add("host", server.host.printable)
                    writer.add("pid", server.pid)
                    writer.add("id", server.id.printable)
                    writer.add("status", server.status.printable)
                    writer.add("started_at", server.startedAt?.rfc3339)
                    writer.add("concurrency", server.concurrency)
                    writer.add("busy_workers", server.busyWorkers)
                    addQueues(of: server, to: &writer)
                    addRunning(server.running.prefix(maxRunning), to: &writer)
                }
            }
        }
    }

    private static func addQueues(of server: ServerSnapshot, to writer: inout JSONWriter) {
        let queues = ServerQueues(server)
        writer.object("queues") { writer in
            for queue in queues.first { writer.add(named: queue.name.printable, queue.priority) }
        }
        writer.add("queues_total", Int64(queues.total))
    }

    private static func addRunning(_ tasks: some Sequence<RunningTask>, to writer: inout JSONWriter) {
        writer.array("running") { writer in
            for task in tasks {
                writer.object { writer in
                    writer.add("queue", task.queue.printable)
                    writer.add("id", task.id.printable)
                    writer.add("type", task.type.printable)
                    writer.add("started_at", task.startedAt.rfc3339)
                    writer.add("deadline_at", task.deadlineAt?.rfc3339)
                }
            }
        }
    }

    static func addErrors(_ errors: [ErrorGroup], to writer: inout JSONWriter) {
        writer.array("errors") { writer in
            for group in errors.prefix(maxErrors) { writer.add(json: ErrorDocument.object(of: group).text.utf8) }
        }
    }

    private static func addCron(_ content: OverviewContent, to writer: inout JSONWriter) {
        guard let entries = content.lastKnown?.schedulerEntries else { return writer.add("cron", nil as String?) }
        writer.array("cron") { writer in
            for entry in entries.sorted(by: { $0.id < $1.id }) {
                writer.object { writer in
                    writer.add("id", entry.id.printable)
                    writer.add("spec", entry.spec.printable)
                    writer.add("task_type", entry.taskType.printable)
                    writer.add("next_at", entry.nextEnqueue?.rfc3339)
                    writer.add("overdue", entry.isOverdue(at: content.knownAt))
                    writer.add("previous_at", entry.previousEnqueue?.rfc3339)
                    writer.add("last_enqueued_at", entry.lastEnqueued?.rfc3339)
                }
            }
        }
    }

    static func addLetters(_ letters: some Sequence<DeadLetter>, to writer: inout JSONWriter) {
        writer.array("dead_letters") { writer in
            for letter in letters { writer.object { $0.addMembers(of: letter) } }
        }
    }

    static func addWaits(_ waits: [SlowWait], _ content: OverviewContent, to writer: inout JSONWriter) {
        writer.array("slowest_waits") { writer in
            for wait in waits {
                let age = content.now.monotonic.duration(since: wait.observedAt)
                writer.object { writer in
                    writer.add("queue", wait.queue.printable)
                    writer.add("type", wait.type?.printable)
                    writer.add("seconds", rounded: wait.seconds)
                    // The time is in whole seconds, so that the moment does not differ from document to document. It never is
                    // one to come.
                    let seconds = (content.now.wall.seconds - age.inSeconds).rounded(.down)
                    writer.add("observed_at", WallTime(seconds: Int64(seconds)).rfc3339)
                    writer.add("trace_id", wait.span?.trace.hex)
                    writer.add("span_id", wait.span?.span.hex)
                }
            }
        }
    }

    // MARK: Spans

    private static func addSpans(_ content: OverviewContent, to writer: inout JSONWriter) {
        if let spans = content.spans {
            writer.object("spans") { writer in
                writer.add("received", Int64(clamping: spans.received))
                writer.add("accepted", Int64(clamping: spans.accepted))
                writer.add("duplicates", Int64(clamping: spans.duplicates))
                addReasons("refused", spans.refused, to: &writer)
                writer.add("forwarded", spans.spooled.map { Int64(clamping: $0.forwarded) })
                addReasons("dropped", spans.spooled?.dropped ?? [:], to: &writer)
                writer.add("in_spool", spans.spooled.map { Int64(clamping: $0.inSpool) })
            }
        } else {
            writer.add("spans", nil as String?)
        }
        writer.object("forwarder") { writer in
            writer.add("state", content.forwarder?.text ?? "off (tempo.endpoint is none)")
            writer.add("up", content.forwarder?.isUp)
            writer.add("since", content.forwarder?.since?.rfc3339)
        }
        if let spool = content.spool {
            writer.object("spool") { writer in
                writer.add("bytes", Int64(spool.bytes))
                writer.add("capacity_bytes", Int64(spool.capacityBytes))
                writer.add("oldest_age_seconds", rounded: spool.oldestAgeSeconds)
                writer.add("full_in_seconds", rounded: spool.fullInSeconds)
            }
        } else {
            writer.add("spool", nil as String?)
        }
        writer.array("memory") { writer in
            for part in content.memory {
                writer.object { writer in
                    writer.add("part", part.part)
                    writer.add("bytes", Int64(part.bytes))
                    writer.add("limit_bytes", part.limitBytes.map { Int64($0) })
                }
            }
        }
    }

    private static func addReasons(_ name: StaticString, _ counts: [String: UInt64], to writer: inout JSONWriter) {
        writer.object(name) { writer in
            for (reason, count) in counts.sorted(by: { $0.key < $1.key }) {
                writer.add(named: reason, Int64(clamping: count))
            }
        }
    }
}
