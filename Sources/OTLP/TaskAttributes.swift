import Model

/// The meaning of a span's attribute for the task.
package enum TaskAttribute: Sendable, Equatable {
    /// The attribute `messaging.system`.
    case system
    /// The attribute `messaging.operation.type`.
    case operation
    case queue
    case taskType
    case taskID
    case retryCount
    /// A wait that the worker measured; one unit of the value lasts `unitSeconds`.
    case wait(unitSeconds: Double)
    /// The time since which the task could be run.
    case readyStamp
    /// The time at which the client enqueued it.
    case enqueueStamp
    case processAt
    /// The attribute `error.type`.
    case errorType
}

/// The attribute names that the collector reads, each with its rank. If a span carries two names of one meaning, the
/// lower rank wins.
///
/// A lookup is a hash of the length and both ends of the key, then one comparison: no allocation, a few nanoseconds.
package struct TaskAttributeTable: Sendable {
    private struct Entry {
        /// The range of the key in `keys`.
        let key: Range<Int>
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
        (.errorType, ["error.type"]),
    ]

    private static let slotCount = 512
    private var slots = [UInt16](repeating: 0, count: slotCount)
    private var entries: [Entry] = []
    private var keys: [UInt8] = []

    package init(waitAttributes: [WaitAttribute] = defaultWaitAttributes) {
        for (rank, wait) in waitAttributes.prefix(100).enumerated() {
            insert(wait.name, .wait(unitSeconds: wait.unit.seconds), rank: rank)
        }
        for (attribute, keys) in Self.names {
            for (rank, key) in keys.enumerated() {
                insert(key, attribute, rank: rank)
            }
        }
    }

    private mutating func insert(_ name: String, _ attribute: TaskAttribute, rank: Int) {
        let key = Array(name.utf8)
        let known = key.withUnsafeBytes { find($0) }
        if known != nil || key.isEmpty { return }
        var slot = key.withUnsafeBytes { Self.hash($0) }
        while slots[slot] != 0 { slot = (slot + 1) % Self.slotCount }
        entries.append(Entry(key: keys.count..<keys.count + key.count, attribute: attribute, rank: UInt8(rank)))
        keys += key
        slots[slot] = UInt16(entries.count)
    }

    /// Returns the meaning and rank of a key; nil for all the keys that say nothing of a task.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer) -> (attribute: TaskAttribute, rank: UInt8)? {
        if key.isEmpty { return nil }
        var slot = Self.hash(key)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            let isIt = keys.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[entry.key]).hasSameBytes(as: key) }
            if isIt { return (entry.attribute, entry.rank) }
            slot = (slot + 1) % Self.slotCount
        }
        return nil
    }

    @inline(__always)
    private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
        var mixed = UInt64(key.count)
        if key.count >= 8 {
            mixed ^= key.loadUnaligned(as: UInt64.self)
            mixed = mixed &* 0x9E37_79B9_7F4A_7C15
            mixed ^= key.loadUnaligned(fromByteOffset: key.count - 8, as: UInt64.self)
        } else {
            for byte in key { mixed = mixed << 8 ^ UInt64(byte) }
        }
        mixed = mixed &* 0xD6E8_FEB8_6659_FD93
        return Int(mixed >> 55)
    }
}
