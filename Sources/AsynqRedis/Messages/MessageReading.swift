import Model
import ProtobufWire

// This is what the readers of Asynq's protobuf messages have in common. There is a file for each message that Asynq
// 0.24 to 0.26 keep in Redis: TaskMessage, ServerInfo, WorkerInfo, SchedulerEntry. Names and meanings of the fields
// come from Asynq's internal/proto.

/// Calls `read` for each field that `Field` knows; it must consume the value. Other fields are skipped: newer versions
/// of Asynq add some.
/// - Throws: `WireError` where the message is malformed, or what `read` throws.
func readMessage<Field: RawRepresentable<Int>>(
    _ bytes: [UInt8], _ read: (Field, WireType, inout WireReader) throws(WireError) -> Void
) throws(WireError) {
    try bytes.withUnsafeBufferPointer { buffer throws(WireError) in
        var reader = WireReader(UnsafeRawBufferPointer(buffer))
        while !reader.isAtEnd {
            let (number, type) = try reader.tag()
            if let field = Field(rawValue: number) {
                try read(field, type, &reader)
            } else {
                try reader.skip(type, field: number)
            }
        }
    }
}

/// Field numbers of the entries of a map.
package enum MapEntryField: Int {
    case key = 1
    case value
}

/// An entry of a `map<string,…>`. A value that is not a string is empty, a number that is not an integer is 0. The
/// bytes are those of the message.
struct MapEntry {
    private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)
    private(set) var number: Int64 = 0

    /// Reads an entry.
    /// - Throws: `WireError` where it is malformed.
    init(_ entry: WireReader) throws(WireError) {
        var reader = entry
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (MapEntryField(rawValue: field), type) {
            case (.key, .lengthDelimited): key = try reader.bytes()
            case (.value, .lengthDelimited): value = try reader.bytes()
            case (.value, .varint): number = Int64(bitPattern: try reader.varint())
            default: try reader.skip(type, field: field)
            }
        }
    }
}

/// Field numbers of `google.protobuf.Timestamp`.
package enum TimestampField: Int {
    case seconds = 1
    case nanoseconds
}

/// Reads a `google.protobuf.Timestamp`. Returns nil for Go's zero time (year 1), which is how Asynq says "never", and
/// for all other times before 1970.
/// - Throws: `WireError` where the message is malformed.
func readTimestamp(_ message: WireReader) throws(WireError) -> WallTime? {
    var reader = message
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    while !reader.isAtEnd {
        let (number, type) = try reader.tag()
        switch (TimestampField(rawValue: number), type) {
        case (.seconds, .varint): seconds = Int64(bitPattern: try reader.varint())
        case (.nanoseconds, .varint): nanoseconds = Int64(bitPattern: try reader.varint())
        default: try reader.skip(type, field: number)
        }
    }
    guard seconds > 0, seconds < 9_000_000_000, (0..<1_000_000_000).contains(nanoseconds) else { return nil }
    return WallTime(nanoseconds: seconds * 1_000_000_000 + nanoseconds)
}
