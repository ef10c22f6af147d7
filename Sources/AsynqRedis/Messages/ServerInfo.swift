import Model
import ProtobufWire

/// Field numbers of `ServerInfo`, the status that a server writes every five seconds: the value of `asynq:servers:{…}`.
package enum ServerInfoField: Int {
    case host = 1
    case pid
    case serverID
    case concurrency
    /// The priorities by name (`map<string,int32>`).
    case queues
    case strictPriority
    case status
    case startTime
    case activeWorkers
}

extension ServerSnapshot {
    /// Reads a `ServerInfo`.
    /// - Throws: `WireError` where the message is malformed.
    init(serverInfo bytes: [UInt8]) throws(WireError) {
        var server = ServerSnapshot(
            host: ForeignText([]), pid: 0, id: ForeignText([]), concurrency: 0, queues: [], status: ForeignText([]),
            busyWorkers: 0)
        try readMessage(bytes) { (field: ServerInfoField, type, reader) throws(WireError) in
            switch (field, type) {
            case (.host, .lengthDelimited): server.host = ForeignText(try reader.bytes())
            case (.pid, .varint): server.pid = Int64(bitPattern: try reader.varint())
            case (.serverID, .lengthDelimited): server.id = ForeignText(try reader.bytes())
            case (.concurrency, .varint): server.concurrency = Int64(bitPattern: try reader.varint())
            case (.queues, .lengthDelimited):
                let entry = try MapEntry(try reader.message())
                server.queues.append(ForeignText(entry.key))
                server.priorities[ForeignText(entry.key)] = entry.number
            case (.startTime, .lengthDelimited): server.startedAt = try readTimestamp(try reader.message())
            case (.status, .lengthDelimited): server.status = ForeignText(try reader.bytes())
            case (.activeWorkers, .varint): server.busyWorkers = Int64(bitPattern: try reader.varint())
            default: try reader.skip(type, field: field.rawValue)
            }
        }
        self = server
    }
}
