package import Model
import ProtobufWire

/// What the collector needs of a task's message: `TaskMessage` in the field `msg` of `asynq:{<queue>}:t:<id>`.
package struct StoredTask: Equatable, Sendable {
    /// Longer `tracestate`s are not kept: W3C asks to carry 512 bytes at least.
    static let maxTraceStateBytes = 512

    /// Attempts that failed so far (field 6).
    package var retried: Int32 = 0
    /// From the headers (field 15, Asynq 0.26 and later).
    package var context: TraceContext?

    package init(retried: Int32, context: TraceContext?) {
        self.retried = retried
        self.context = context
    }

    /// `TaskMessage`: 6 retried int32, 15 headers map<string,string>.
    init(taskMessage bytes: [UInt8]) throws(WireError) {
        var retried: Int32 = 0
        var parent: [UInt8] = []
        var state: [UInt8] = []
        try readMessage(bytes) { (field, type, reader) throws(WireError) in
            switch (field, type) {
            case (6, .varint): retried = Int32(truncatingIfNeeded: try reader.varint())
            case (15, .lengthDelimited):
                var entry = try reader.message()
                let (key, value) = try readMapEntry(&entry)
                if key == Array("traceparent".utf8) { parent = value }
                if key == Array("tracestate".utf8) { state = value }
            default: try reader.skip(type, field: field)
            }
        }
        self.retried = retried
        if state.count > Self.maxTraceStateBytes { state = [] }
        context = parent.withUnsafeBytes { TraceContext(traceParent: $0, traceState: state) }
    }
}

/// `map<string,string>`: 1 key, 2 value. Header names are case-insensitive: the key is in lower case.
private func readMapEntry(_ reader: inout WireReader) throws(WireError) -> (key: [UInt8], value: [UInt8]) {
    var key: [UInt8] = []
    var value: [UInt8] = []
    while !reader.isAtEnd {
        let (field, type) = try reader.tag()
        switch (field, type) {
        case (1, .lengthDelimited):
            key = try reader.bytes().map { (65...90).contains($0) ? $0 | 0x20 : $0 }
        case (2, .lengthDelimited): value = [UInt8](try reader.bytes())
        default: try reader.skip(type, field: field)
        }
    }
    return (key, value)
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
