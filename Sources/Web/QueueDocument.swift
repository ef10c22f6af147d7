import Attention
package import Model
import Platform
import Text
package import WaitTime

/// Writes the JSON of `/api/v1/queues/{queue}`.
package enum QueueDocument {
    private static let maxPoints = 720

    /// Returns the document, and the number of bytes at its beginning that say when it was made; nil for a queue that
    /// is unknown.
    /// - Parameters:
    ///   - retries: The retries that are due next; nil where they are unknown.
    ///   - taskTypes: The sums that spans tell of each task type, since the start.
    ///   - slowestWaits: The slowest waits of this queue, however long those of the others were.
    package static func json(
        _ content: OverviewContent, _ name: QueueName, retries: [DueRetry]? = nil, taskTypes: [TaskTypeSummary] = [],
        slowestWaits: [SlowWait] = []
    ) -> (bytes: [UInt8], changing: Int)? {
        // Documents have names as people can read them.
        let found =
            content.rows.first { $0.name == name }
            ?? content.rows.first { $0.name.printable.utf8.elementsEqual(name.bytes) }
        guard let row = found else { return nil }
        let name = row.name
        let window = HistoryWindow(content.history, now: content.now, since: nil, maxPointsPerQueue: maxPoints)
        var writer = JSONWriter()
        var changing = 0
        writer.object { writer in
            writer.add("now", content.now.wall.rfc3339)
            changing = writer.bytes.count
            QueueMembers(content).add(row, to: &writer)
            writer.add("dead_lettered_per_second", rounded: content.history.rate(.deadLettered, of: name))
            OverviewDocument.addTroubles(content.troubles.lazy.filter { $0.concerns(row) }, to: &writer)
            writer.object("history") { writer in
                window.addMembers(to: &writer)
                let columns = content.history[name]
                for state in TaskState.allCases {
                    // The number of tasks that are kept would have the name of the rate.
                    let member = state == .completed ? "completed_tasks" : state.member
                    window.add(member, .tasks(in: state), of: columns, to: &writer)
                }
                window.add("enqueued", .enqueued, of: columns, to: &writer)
                window.add("completed", .completed, of: columns, to: &writer)
                window.add("failed", .failed, of: columns, to: &writer)
                window.add("dead_lettered", .deadLettered, of: columns, to: &writer)
                window.add("wait_p50", .waitP50, of: columns, to: &writer)
                window.add("wait_p95", .waitP95, of: columns, to: &writer)
                window.add("wait_p99", .waitP99, of: columns, to: &writer)
            }
            writer.array("task_types") { writer in
                for type in taskTypes {
                    writer.object { writer in
                        writer.add("type", type.type.printable)
                        writer.add("attempts", Int64(clamping: type.attempts))
                        writer.add("failed", Int64(clamping: type.failed))
                        writer.add("wait_p95_seconds", type.waitP95)
                        writer.add("run_p95_seconds", type.runP95)
                    }
                }
            }
            OverviewDocument.addErrors(content.errors.filter { $0.queue == name }, to: &writer)
            let letters = content.deadLetters.lazy.filter { $0.task.queue == name }
            OverviewDocument.addLetters(letters.prefix(OverviewDocument.maxLetters), to: &writer)
            writer.array("retries_due") { writer in
                for retry in retries ?? [] { writer.add(json: TaskDocument.object(of: retry).text.utf8) }
            }
            OverviewDocument.addWaits(slowestWaits, content, to: &writer)
            addServers(of: name, content.lastKnown, to: &writer)
        }
        return (writer.bytes + "\n".utf8, changing)
    }

    /// Adds the servers that consume the queue; null where none is known and others could not be read.
    private static func addServers(of name: QueueName, _ snapshot: RedisSnapshot?, to writer: inout JSONWriter) {
        let known = snapshot?.servers?.filter { $0.queues.contains(name) }
        guard let known, !known.isEmpty || snapshot?.serversProblem == nil else {
            return writer.add("servers", nil as String?)
        }
        writer.array("servers") { writer in
            for server in known {
                writer.object { writer in
                    writer.add("host", server.host.printable)
                    writer.add("pid", server.pid)
                    writer.add("id", server.id.printable)
                }
            }
        }
    }
}
