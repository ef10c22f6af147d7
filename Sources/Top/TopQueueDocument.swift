package import JSON
import Model

/// The content of `/api/v1/queues/{queue}`, read as leniently as the overview.
package struct TopQueueDocument: Sendable, Equatable {
    struct TaskType: Sendable, Equatable {
        let name: String
        let attempts: Int64?
        let failed: Int64?
        let waitP95: Double?
        let runP95: Double?
    }

    struct ErrorGroup: Sendable, Equatable {
        let taskType: String?
        let error: String
        let attempts: Int64?
        let deadLetters: Int64?
        let lastSeenAt: WallTime?
    }

    /// A dead letter, a task that waits for its next attempt, or a slow wait.
    struct Task: Sendable, Equatable {
        let type: String?
        let error: String?
        let seconds: Double?
        let at: WallTime?
        let traceID: String?
    }

    package let queue: TopQueue
    /// All troubles of the queue; nil where the document does not name them.
    let troubles: [TopDocument.Trouble]?
    let taskTypes: [TaskType]
    let errors: [ErrorGroup]
    let deadLetters: [Task]
    let retriesDue: [Task]
    let slowestWaits: [Task]
    let servers: [TopServer]

    package init(_ json: JSONValue) {
        queue = TopQueue(json)
        troubles = TopDocument.Trouble.all(json["attention"])
        taskTypes = json["task_types"].elements.map { type in
            TaskType(
                name: type["type"].string ?? "", attempts: type["attempts"].integer, failed: type["failed"].integer,
                waitP95: type["wait_p95_seconds"].number, runP95: type["run_p95_seconds"].number)
        }
        errors = json["errors"].elements.map { group in
            ErrorGroup(
                taskType: group["task_type"].string, error: group["error"].string ?? "",
                attempts: group["attempts"].integer, deadLetters: group["dead_letters"].integer,
                lastSeenAt: group["last_seen_at"].time)
        }
        deadLetters = json["dead_letters"].elements.map { Task($0, at: "archived_at") }
        retriesDue = json["retries_due"].elements.map { Task($0, at: "at") }
        slowestWaits = json["slowest_waits"].elements.map { Task($0, at: "observed_at") }
        servers = json["servers"].elements.map { TopServer($0) }
    }
}

extension TopQueueDocument.Task {
    init(_ json: JSONValue, at name: String) {
        self.init(
            type: json["type"].string, error: json["error"].string, seconds: json["seconds"].number,
            at: json[name].time, traceID: json["trace_id"].string)
    }
}
