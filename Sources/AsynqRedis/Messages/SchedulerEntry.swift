import Model
import ProtobufWire

/// Field numbers of `SchedulerEntry`, one cron entry: an element of the list `asynq:schedulers:{…}`.
package enum SchedulerEntryField: Int {
    case id = 1
    case spec
    case taskType
    case taskPayload
    case options
    case nextEnqueueTime
    case previousEnqueueTime
}

/// Field numbers of `SchedulerEnqueueEvent`, one task that a cron entry enqueued: a member of `asynq:scheduler_history:<entry>`.
package enum SchedulerEnqueueEventField: Int {
    case taskID = 1
    case enqueueTime
}

extension SchedulerEntrySnapshot {
    /// Reads a `SchedulerEntry`. `scheduler` is the key of the list that it stands in.
    /// - Throws: `WireError` where the message is malformed.
    init(schedulerEntry bytes: [UInt8], scheduler: [UInt8]) throws(WireError) {
        var entry = SchedulerEntrySnapshot(
            id: ForeignText([]), spec: ForeignText([]), taskType: ForeignText([]), scheduler: scheduler,
            nextEnqueue: nil, previousEnqueue: nil)
        try readMessage(bytes) { (field: SchedulerEntryField, type, reader) throws(WireError) in
            switch (field, type) {
            case (.id, .lengthDelimited): entry.id = ForeignText(try reader.bytes())
            case (.spec, .lengthDelimited): entry.spec = ForeignText(try reader.bytes())
            case (.taskType, .lengthDelimited): entry.taskType = ForeignText(try reader.bytes())
            case (.nextEnqueueTime, .lengthDelimited):
                entry.nextEnqueue = try readTimestamp(try reader.message())
            case (.previousEnqueueTime, .lengthDelimited):
                entry.previousEnqueue = try readTimestamp(try reader.message())
            default: try reader.skip(type, field: field.rawValue)
            }
        }
        self = entry
    }
}
