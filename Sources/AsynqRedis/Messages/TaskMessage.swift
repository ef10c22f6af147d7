import Model
import ProtobufWire
import Redis

/// Field numbers of `TaskMessage`, a task as its producer wrote it: the field `msg` of `asynq:{<queue>}:t:<id>`.
package enum TaskMessageField: Int {
    case type = 1
    case payload
    case id
    case queue
    /// The largest number of retries.
    case retry
    /// The number of attempts that have failed so far.
    case retried
    case errorMessage
    case timeoutSeconds
    /// The deadline in Unix seconds, as the times below.
    case deadlineSeconds
    case lastFailedAt = 11
    case retentionSeconds
    case completedAt
    /// The headers (`map<string,string>`), since 0.26.
    case headers = 15
}

extension StoredTask {
    /// Reads a `TaskMessage`.
    /// - Throws: `WireError` where the message is malformed.
    init(taskMessage bytes: [UInt8], names: CarriedNames) throws(WireError) {
        var task = StoredTask()
        var headers = CarriedValues()
        var payload = 0..<0
        try readMessage(bytes) { (field: TaskMessageField, type, reader) throws(WireError) in
            switch (field, type) {
            case (.type, .lengthDelimited): task.type = ForeignText(try reader.bytes()).cut(to: Self.maxErrorBytes)
            case (.payload, .lengthDelimited): payload = try reader.range()
            case (.retried, .varint): task.retried = Int32(truncatingIfNeeded: try reader.varint())
            case (.errorMessage, .lengthDelimited):
                task.errorMessage = ForeignText(try reader.bytes()).cut(to: Self.maxErrorBytes)
            case (.lastFailedAt, .varint):
                let seconds = Int64(bitPattern: try reader.varint())
                task.lastFailedAt = (1..<9_000_000_000).contains(seconds) ? WallTime(seconds: seconds) : nil
            case (.headers, .lengthDelimited):
                let header = try MapEntry(try reader.message())
                if let leaf = names.header(header.key) { headers.record(leaf, header.value) }
            default: try reader.skip(type, field: field.rawValue)
            }
        }
        task.context = headers.context
        task.enqueuedAt = headers.enqueuedAt
        task.processAt = headers.processAt
        if !payload.isEmpty && (task.context == nil || task.enqueuedAt == nil) {
            let carried = bytes[payload].withUnsafeBytes { CarriedValues(payload: $0, names: names) }
            task.context = task.context ?? carried.context
            task.enqueuedAt = task.enqueuedAt ?? carried.enqueuedAt
            task.processAt = task.processAt ?? carried.processAt
        }
        self = task
    }

    /// - Throws: `.malformed` for bytes that are not a `TaskMessage`.
    init(message bytes: [UInt8], names: CarriedNames) throws(RedisError) {
        do throws(WireError) {
            try self.init(taskMessage: bytes, names: names)
        } catch {
            throw RedisError(.malformed, "a TaskMessage: \(error.reason.rawValue)")
        }
    }
}
