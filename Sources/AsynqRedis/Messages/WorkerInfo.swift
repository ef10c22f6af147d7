import Model
import ProtobufWire

/// Field numbers of `WorkerInfo`, one task that a server works on: a value of the hash `asynq:workers:{…}`.
package enum WorkerInfoField: Int {
    case host = 1
    case pid
    case serverID
    case taskID
    case taskType
    case taskPayload
    case queue
    /// The time at which the worker took the task.
    case startTime
    case deadline
}

/// The fields of a `WorkerInfo` that the collector needs.
struct WorkerSnapshot {
    /// The longest type; a longer one is cut.
    private static let maxTypeBytes = 256

    /// The queue; nil where the message lacks it.
    var queue: QueueName?
    var start: WallTime?
    var type = TaskType([])
    /// The deadline; nil where the task has none.
    var deadline: WallTime?

    /// Reads a `WorkerInfo`.
    /// - Throws: `WireError` where the message is malformed.
    init(workerInfo bytes: [UInt8]) throws(WireError) {
        var queue: QueueName?
        var start: WallTime?
        var taskType = TaskType([])
        var deadline: WallTime?
        try readMessage(bytes) { (field: WorkerInfoField, type, reader) throws(WireError) in
            switch (field, type) {
            case (.queue, .lengthDelimited): queue = QueueName(try reader.bytes())
            case (.taskType, .lengthDelimited): taskType = TaskType(try reader.bytes()).cut(to: Self.maxTypeBytes)
            case (.startTime, .lengthDelimited): start = try readTimestamp(try reader.message())
            case (.deadline, .lengthDelimited): deadline = try readTimestamp(try reader.message())
            default: try reader.skip(type, field: field.rawValue)
            }
        }
        self.queue = queue
        self.start = start
        self.type = taskType
        self.deadline = deadline
    }
}
