package import Attention
package import Model
import Platform
import Text

/// Writes the JSON of the web endpoints.
package enum QueueDocuments {
    /// Returns one object per queue; a number that is unknown is null.
    package static func queues(_ rows: [QueueReading]) -> [UInt8] {
        var text = Array("[".utf8)
        for row in rows {
            if text.count > 1 { text += ",\n ".utf8 }
            var writer = JSONWriter()
            writer.object { $0.addMembers(of: row) }
            text += writer.bytes
        }
        return text + "]\n".utf8
    }

    /// Returns one object per dead letter, the newest first.
    package static func deadLetters(_ letters: [DeadLetter]) -> [UInt8] {
        var text = Array("[".utf8)
        for letter in letters {
            if text.count > 1 { text += ",\n ".utf8 }
            var writer = JSONWriter()
            writer.object { $0.addMembers(of: letter) }
            text += writer.bytes
        }
        return text + "]\n".utf8
    }
}

extension JSONWriter {
    /// Adds the members of a queue; a number that is unknown is null.
    mutating func addMembers(of row: QueueReading) {
        let queue = row.snapshot
        add("queue", row.name.printable)
        for state in TaskState.allCases { add(state.member, queue?.size[state]) }
        add("groups", queue?.groups)
        add("paused", queue?.isPaused)
        add("oldest_wait_seconds", queue?.latencyNanoseconds.map { Double($0) / 1e9 })
        add("orphaned", queue?.orphaned)
        add("overdue_scheduled", queue?.overdue[.scheduled])
        add("overdue_retry", queue?.overdue[.retry])
        add("completed_total", queue?.completed)
        add("failed_total", queue?.failed)
        add("dead_lettered_total", queue?.deadLettered.map { Int64(clamping: $0) })
        add(
            "unread_dead_letters_total",
            queue?.deadLettered.flatMap { _ in queue.map { Int64(clamping: $0.unreadDeadLetters) } })
        add("memory_usage_approx_bytes", queue?.memoryBytes)
        add("wait_p50_seconds", row.wait?[0])
        add("wait_p95_seconds", row.wait?[1])
        add("wait_p99_seconds", row.wait?[2])
        add("wait_origin", row.wait.map { _ in row.waitOrigin.rawValue })
    }

    mutating func addMembers(of letter: DeadLetter) {
        add("queue", letter.task.queue.printable)
        add("id", ForeignText(letter.task.id).printable)
        add("type", letter.type.printable)
        add("error", letter.errorMessage.printable)
        add("retried", Int64(letter.retried))
        add("archived_at", letter.archivedAt.rfc3339)
        add("last_failed_at", letter.lastFailedAt?.rfc3339)
        add("trace_id", letter.trace?.hex)
    }
}

extension TaskState {
    /// The name of the state in documents.
    var member: StaticString {
        switch self {
        case .pending: "pending"
        case .active: "active"
        case .scheduled: "scheduled"
        case .retry: "retry"
        case .archived: "archived"
        case .completed: "completed"
        case .aggregating: "aggregating"
        }
    }
}

extension JSONObject {
    mutating func add(_ name: String, _ value: ForeignText) { add(name, value.printable) }
}
