/// What an attribute of a span tells about the task.
package enum TaskAttribute: Sendable, Equatable {
    /// `messaging.system`
    case system
    /// `messaging.operation.type`
    case operation
    case queue
    case taskType
    case taskID
    case retryCount
    /// A wait that the worker measured; one unit of the value is so many seconds.
    case wait(unitSeconds: Double)
    /// Since when the task could be run.
    case readyStamp
    /// When the client enqueued it.
    case enqueueStamp
    case processAt
}

/// The attribute names that the collector reads, each with its rank: where a span carries two names of one meaning,
/// the lower rank wins.
///
/// A lookup compares a key with those of its length only, two or three: no allocation, a few nanoseconds.
package struct TaskAttributeTable: Sendable {
    private struct Entry {
        let key: [UInt8]
        let attribute: TaskAttribute
        let rank: UInt8
    }

    /// An attribute that measures the wait itself, as `wait.attributes` configures it.
    package struct WaitAttribute: Sendable, Equatable {
        package let name: String
        package let unit: Unit

        package enum Unit: String, CaseIterable, Sendable {
            case s, ms, us, ns

            var seconds: Double {
                switch self {
                case .s: 1
                case .ms: 1e-3
                case .us: 1e-6
                case .ns: 1e-9
                }
            }
        }

        package init(name: String, unit: Unit) {
            self.name = name
            self.unit = unit
        }
    }

    package static let defaultWaitAttributes: [WaitAttribute] = [
        .init(name: "asynq.task.wait_seconds", unit: .s),
        .init(name: "asynq.task.wait_ms", unit: .ms),
        .init(name: "asynq.wait_seconds", unit: .s),
        .init(name: "asynq.wait_ms", unit: .ms),
        .init(name: "queue.wait_time_seconds", unit: .s),
        .init(name: "queue.wait_time_ms", unit: .ms),
        .init(name: "queue.wait_seconds", unit: .s),
        .init(name: "queue.wait_ms", unit: .ms),
        .init(name: "queue_wait_seconds", unit: .s),
        .init(name: "queue_wait_ms", unit: .ms),
    ]

    private static let names: [(TaskAttribute, [String])] = [
        (.system, ["messaging.system"]),
        (.operation, ["messaging.operation.type", "messaging.operation"]),
        (.queue, ["messaging.destination.name", "asynq.queue", "queue", "messaging.destination"]),
        (.taskType, ["asynq.task.type", "messaging.destination.template", "task_type"]),
        (.taskID, ["messaging.message.id", "asynq.task.id", "task_id", "messaging.message_id"]),
        (.retryCount, ["asynq.task.retry_count", "asynq.task.retried", "retry_count"]),
        (.readyStamp, ["asynq.task.ready_at", "asynq.ready_at", "ready_at"]),
        (
            .enqueueStamp,
            [
                "asynq.task.enqueued_at", "asynq.enqueued_at", "enqueued_at", "messaging.message.enqueued_at",
                "messaging.message.enqueue_time",
            ]
        ),
        (.processAt, ["asynq.task.process_at", "asynq.process_at"]),
    ]

    /// Sorted by the lengths of their keys; those of `length` bytes stand from `starts[length]` to `starts[length + 1]`.
    private var entries: [Entry] = []
    private var starts: [Int] = []

    package init(waitAttributes: [WaitAttribute] = defaultWaitAttributes) {
        for (rank, wait) in waitAttributes.prefix(100).enumerated() {
            insert(wait.name, .wait(unitSeconds: wait.unit.seconds), rank: rank)
        }
        for (attribute, keys) in Self.names {
            for (rank, key) in keys.enumerated() {
                insert(key, attribute, rank: rank)
            }
        }
        entries.sort { $0.key.count < $1.key.count }
        let longest = entries.last?.key.count ?? 0
        starts = (0...longest + 1).map { length in entries.firstIndex { $0.key.count >= length } ?? entries.count }
    }

    private mutating func insert(_ name: String, _ attribute: TaskAttribute, rank: Int) {
        let key = Array(name.utf8)
        if key.isEmpty || entries.contains(where: { $0.key == key }) { return }
        entries.append(Entry(key: key, attribute: attribute, rank: UInt8(rank)))
    }

    /// The meaning and rank of a key; nil for all the keys that say nothing of a task.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer) -> (attribute: TaskAttribute, rank: UInt8)? {
        if key.count + 1 >= starts.count { return nil }
        for index in starts[key.count]..<starts[key.count + 1] where entries[index].key.elementsEqual(key) {
            return (entries[index].attribute, entries[index].rank)
        }
        return nil
    }
}
