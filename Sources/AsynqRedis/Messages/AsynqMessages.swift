import Model
import ProtobufWire

// Readers of the protobuf messages that Asynq keeps in Redis, as far as the collector needs them. Unknown fields are
// skipped: newer versions add some.

extension ServerSnapshot {
    /// `ServerInfo`: 1 host, 2 pid, 3 server_id, 4 concurrency, 5 queues map<string,int32>, 7 status,
    /// 9 active_worker_count.
    init(serverInfo bytes: [UInt8]) throws(WireError) {
        var server = ServerSnapshot(
            host: ForeignText([]), pid: 0, id: ForeignText([]), concurrency: 0, queues: [], status: ForeignText([]),
            busyWorkers: 0)
        try readMessage(bytes) { (field, type, reader) throws(WireError) in
            switch (field, type) {
            case (1, .lengthDelimited): server.host = ForeignText(try reader.bytes())
            case (2, .varint): server.pid = Int64(bitPattern: try reader.varint())
            case (3, .lengthDelimited): server.id = ForeignText(try reader.bytes())
            case (4, .varint): server.concurrency = Int64(bitPattern: try reader.varint())
            case (5, .lengthDelimited): server.queues.append(try readMapKey(try reader.message()))
            case (7, .lengthDelimited): server.status = ForeignText(try reader.bytes())
            case (9, .varint): server.busyWorkers = Int64(bitPattern: try reader.varint())
            default: try reader.skip(type, field: field)
            }
        }
        self = server
    }
}

/// The key of a map entry: field 1.
private func readMapKey(_ entry: WireReader) throws(WireError) -> ForeignText {
    var reader = entry
    var key = ForeignText([])
    while !reader.isAtEnd {
        let (field, type) = try reader.tag()
        if field == 1 && type == .lengthDelimited {
            key = ForeignText(try reader.bytes())
        } else {
            try reader.skip(type, field: field)
        }
    }
    return key
}

extension SchedulerEntrySnapshot {
    /// `SchedulerEntry`: 1 id, 2 spec, 3 task_type, 6 next_enqueue_time, 7 prev_enqueue_time.
    init(schedulerEntry bytes: [UInt8]) throws(WireError) {
        var entry = SchedulerEntrySnapshot(
            id: ForeignText([]), spec: ForeignText([]), taskType: ForeignText([]), nextEnqueue: nil,
            previousEnqueue: nil)
        try readMessage(bytes) { (field, type, reader) throws(WireError) in
            switch (field, type) {
            case (1, .lengthDelimited): entry.id = ForeignText(try reader.bytes())
            case (2, .lengthDelimited): entry.spec = ForeignText(try reader.bytes())
            case (3, .lengthDelimited): entry.taskType = ForeignText(try reader.bytes())
            case (6, .lengthDelimited): entry.nextEnqueue = try readTimestamp(try reader.message())
            case (7, .lengthDelimited): entry.previousEnqueue = try readTimestamp(try reader.message())
            default: try reader.skip(type, field: field)
            }
        }
        self = entry
    }
}

/// `google.protobuf.Timestamp`: 1 seconds, 2 nanos. nil for Go's zero time (year 1), which is how Asynq says "never",
/// and for anything else before 1970.
func readTimestamp(_ message: WireReader) throws(WireError) -> WallTime? {
    var reader = message
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    while !reader.isAtEnd {
        let (field, type) = try reader.tag()
        switch (field, type) {
        case (1, .varint): seconds = Int64(bitPattern: try reader.varint())
        case (2, .varint): nanoseconds = Int64(bitPattern: try reader.varint())
        default: try reader.skip(type, field: field)
        }
    }
    guard seconds > 0, seconds < 9_000_000_000, (0..<1_000_000_000).contains(nanoseconds) else { return nil }
    return WallTime(nanoseconds: seconds * 1_000_000_000 + nanoseconds)
}

/// Calls `read` for each field of a message; it must consume the value.
func readMessage(
    _ bytes: [UInt8], _ read: (Int, WireType, inout WireReader) throws(WireError) -> Void
) throws(WireError) {
    try bytes.withUnsafeBufferPointer { buffer throws(WireError) in
        var reader = WireReader(UnsafeRawBufferPointer(buffer))
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            try read(field, type, &reader)
        }
    }
}
