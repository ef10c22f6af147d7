package import Model
import Platform
package import Text

/// Writes the JSON of errors, for `/api/v1/errors` and for the documents that have some of them.
package enum ErrorDocument {
    /// Returns one object per group, in their order.
    package static func json(_ groups: [ErrorGroup]) -> [UInt8] {
        Array(("[" + groups.map { object(of: $0).text }.joined(separator: ",\n ") + "]\n").utf8)
    }

    package static func object(of group: ErrorGroup) -> JSONObject {
        var object = JSONObject()
        object.add("queue", group.queue)
        object.add("task_type", group.taskType)
        object.add("error", group.error)
        object.add("attempts", Int64(clamping: group.attempts))
        object.add("dead_letters", Int64(clamping: group.deadLetters))
        object.add("first_seen_at", group.firstSeen.rfc3339)
        object.add("last_seen_at", group.lastSeen.rfc3339)
        var example = JSONObject()
        example.add("error", group.example.error)
        example.add("task_id", group.example.taskID.bytes.isEmpty ? nil : group.example.taskID.printable)
        example.add("trace_id", group.example.trace?.hex)
        example.add("span_id", group.example.span?.hex)
        example.add("at", group.example.at.rfc3339)
        object.add("example", example)
        return object
    }
}
