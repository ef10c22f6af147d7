package import Model
import Platform
package import Text

/// Writes the JSON of `/api/v1/tasks/{queue}/{id}` and `/api/v1/tasks?id=`, and that of retries, for the documents that
/// have some of them.
package enum TaskDocument {
    package static func json(_ task: TaskDetails) -> [UInt8] {
        var object = JSONObject()
        object.add("queue", task.task.queue)
        object.add("id", ForeignText(task.task.id))
        object.add("state", task.state)
        object.add("type", task.message?.type.printable)
        object.add("retried", task.message?.retried)
        object.add("max_retry", task.message?.maxRetry)
        object.add("pending_since_at", task.pendingSince?.rfc3339)
        object.add("next_run_at", task.nextRunAt?.rfc3339)
        object.add("deadline_at", task.deadlineAt?.rfc3339)
        object.add("lease_expires_at", task.leaseExpiresAt?.rfc3339)
        object.add("archived_at", task.archivedAt?.rfc3339)
        object.add("completed_at", task.message?.completedAt?.rfc3339)
        object.add("last_error", lastError(task.message))
        object.add("last_failed_at", task.message?.lastFailedAt?.rfc3339)
        if let worker = task.worker {
            var server = JSONObject()
            server.add("host", worker.host)
            server.add("pid", worker.pid)
            server.add("server_id", worker.serverID)
            server.add("started_at", worker.startedAt.rfc3339)
            object.add("worker", server)
        } else {
            object.add("worker", nil as String?)
        }
        object.add("payload_bytes", task.message.map { Int64($0.payloadBytes) })
        object.add("trace_id", (task.message?.trace ?? task.attemptTrace)?.hex)
        return Array((object.text + "\n").utf8)
    }

    static func json(_ search: TaskSearch) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.array("queues") { writer in for queue in search.found { writer.element(queue.printable) } }
            writer.add("looked_at", Int64(search.lookedAt))
            writer.add("known_queues", Int64(search.queues))
        }
        return writer.bytes + "\n".utf8
    }

    package static func object(of retry: DueRetry) -> JSONObject {
        var object = JSONObject()
        object.add("id", retry.id)
        object.add("type", retry.message?.type.printable)
        object.add("error", lastError(retry.message))
        object.add("retried", retry.message?.retried)
        object.add("max_retry", retry.message?.maxRetry)
        object.add("at", retry.at.rfc3339)
        object.add("trace_id", retry.message?.trace?.hex)
        return object
    }

    /// Returns the last error; nil where no attempt has failed.
    private static func lastError(_ message: TaskMessageDetails?) -> String? {
        message.flatMap { $0.lastError.bytes.isEmpty ? nil : $0.lastError.printable }
    }
}
