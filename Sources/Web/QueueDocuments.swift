package import Model
import Platform
import Text

/// The JSON of the web endpoints.
package enum QueueDocuments {
    /// One object per queue; what is not known is null.
    package static func queues(_ rows: [QueueRow]) -> [UInt8] {
        var text = "["
        for row in rows {
            if text.utf8.count > 1 { text += ",\n " }
            text += object(of: row).text
        }
        return Array((text + "]\n").utf8)
    }

    /// One object per dead letter, the newest first.
    package static func deadLetters(_ letters: [DeadLetter]) -> [UInt8] {
        let objects = letters.map { letter in
            var object = JSONObject()
            object.add("queue", letter.task.queue)
            object.add("id", ForeignText(letter.task.id))
            object.add("type", letter.type)
            object.add("error", letter.errorMessage)
            object.add("retried", Int64(letter.retried))
            object.add("archived_at", letter.archivedAt.rfc3339)
            object.add("last_failed_at", letter.lastFailedAt?.rfc3339)
            object.add("trace_id", letter.context?.reference.trace.hex)
            return object.text
        }
        return Array(("[" + objects.joined(separator: ",\n ") + "]\n").utf8)
    }

    private static func object(of row: QueueRow) -> JSONObject {
        let queue = row.snapshot
        var object = JSONObject()
        object.add("queue", row.name)
        for state in TaskState.allCases { object.add(state.rawValue, queue?.size[state]) }
        object.add("groups", queue?.groups)
        object.add("paused", queue?.isPaused)
        object.add("oldest_wait_seconds", queue?.latencyNanoseconds.map { Double($0) / 1e9 })
        object.add("orphaned", queue?.orphaned)
        object.add("overdue_scheduled", queue?.overdue[.scheduled])
        object.add("overdue_retry", queue?.overdue[.retry])
        object.add("completed_total", queue?.completed)
        object.add("failed_total", queue?.failed)
        object.add("dead_lettered_total", queue?.deadLettered.map { Int64(clamping: $0) })
        object.add("memory_usage_approx_bytes", queue?.memoryBytes)
        for (name, index) in [("wait_p50_seconds", 0), ("wait_p95_seconds", 1), ("wait_p99_seconds", 2)] {
            object.add(name, row.wait?[index])
        }
        return object
    }
}

extension JSONObject {
    mutating func add(_ name: String, _ value: ForeignText) { add(name, value.printable) }
}
