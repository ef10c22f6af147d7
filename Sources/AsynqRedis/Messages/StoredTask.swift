package import Model
import ProtobufWire

/// What the collector needs of a task's message: `TaskMessage` in the field `msg` of `asynq:{<queue>}:t:<id>`.
package struct StoredTask: Equatable, Sendable {
    /// Of `errorMessage` and `type`: a panic with its stack can be long, and it goes into spans and onto pages.
    package static let maxErrorBytes = 1024

    package var type = TaskType([])
    /// Attempts that failed so far.
    package var retried: Int32 = 0
    /// What the last attempt failed with, cut at a character's end.
    package var errorMessage = ForeignText([])
    package var lastFailedAt: WallTime?
    /// From the headers (Asynq 0.26 and later), else from the payload.
    package var context: TraceContext?
    /// By the producer's clock, where it says so.
    package var enqueuedAt: WallTime?
    package var processAt: WallTime?

    package init(retried: Int32 = 0, context: TraceContext? = nil) {
        self.retried = retried
        self.context = context
    }

    /// `TaskMessage`: 1 type, 2 payload, 6 retried int32, 7 error_msg, 11 last_failed_at int64 seconds, 15 headers
    /// map<string,string>.
    init(taskMessage bytes: [UInt8], names: CarriedNames) throws(WireError) {
        var task = StoredTask()
        var headers = CarriedValues()
        var payload = 0..<0
        try readMessage(bytes) { (field, type, reader) throws(WireError) in
            switch (field, type) {
            case (1, .lengthDelimited): task.type = ForeignText(try reader.bytes()).cut(to: Self.maxErrorBytes)
            case (2, .lengthDelimited): payload = try reader.range()
            case (6, .varint): task.retried = Int32(truncatingIfNeeded: try reader.varint())
            case (7, .lengthDelimited): task.errorMessage = ForeignText(try reader.bytes()).cut(to: Self.maxErrorBytes)
            case (11, .varint):
                let seconds = Int64(bitPattern: try reader.varint())
                task.lastFailedAt = (1..<9_000_000_000).contains(seconds) ? WallTime(seconds: seconds) : nil
            case (15, .lengthDelimited): try readHeader(try reader.message(), names, into: &headers)
            default: try reader.skip(type, field: field)
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
}

/// `map<string,string>`: 1 key, 2 value.
private func readHeader(_ entry: WireReader, _ names: CarriedNames, into values: inout CarriedValues) throws(WireError)
{
    var reader = entry
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    var (key, value) = (none, none)
    while !reader.isAtEnd {
        let (field, type) = try reader.tag()
        switch (field, type) {
        case (1, .lengthDelimited): key = try reader.bytes()
        case (2, .lengthDelimited): value = try reader.bytes()
        default: try reader.skip(type, field: field)
        }
    }
    if let leaf = names.header(key) { values.note(leaf, value) }
}

/// `WorkerInfo`: 8 start_time, when the worker took the task; nil where it does not say.
func workerStart(_ bytes: [UInt8]) throws(WireError) -> WallTime? {
    var start: WallTime?
    try readMessage(bytes) { (field, type, reader) throws(WireError) in
        if field == 8 && type == .lengthDelimited {
            start = try readTimestamp(try reader.message())
        } else {
            try reader.skip(type, field: field)
        }
    }
    return start
}
