import Model
import ProtobufWire

extension TaskMessageDetails {
    /// Reads a message; returns nil for bytes that are not a `TaskMessage`.
    init?(message bytes: [UInt8], names: CarriedNames) {
        do throws(WireError) {
            let stored = try StoredTask(taskMessage: bytes, names: names)
            self.init(
                type: stored.type, retried: Int64(stored.retried), maxRetry: 0, lastError: stored.errorMessage,
                lastFailedAt: stored.lastFailedAt, deadlineAt: nil, completedAt: nil, payloadBytes: 0,
                trace: stored.context?.reference.trace)
            try readRest(of: bytes)
        } catch {
            return nil
        }
    }

    /// Reads the fields that only this document shows.
    private mutating func readRest(of bytes: [UInt8]) throws(WireError) {
        var (maxRetry, payloadBytes): (Int64, Int) = (0, 0)
        var (deadline, completed): (WallTime?, WallTime?) = (nil, nil)
        try readMessage(bytes) { (field: TaskMessageField, type, reader) throws(WireError) in
            switch (field, type) {
            case (.retry, .varint): maxRetry = Int64(Int32(truncatingIfNeeded: try reader.varint()))
            case (.payload, .lengthDelimited): payloadBytes = try reader.range().count
            case (.deadlineSeconds, .varint): deadline = Self.time(try reader.varint())
            case (.completedAt, .varint): completed = Self.time(try reader.varint())
            default: try reader.skip(type, field: field.rawValue)
            }
        }
        (self.maxRetry, self.payloadBytes) = (maxRetry, payloadBytes)
        (deadlineAt, completedAt) = (deadline, completed)
    }

    /// Returns the time of Unix seconds; 0 stands for never.
    private static func time(_ value: UInt64) -> WallTime? {
        let seconds = Int64(bitPattern: value)
        return (1..<9_000_000_000).contains(seconds) ? WallTime(seconds: seconds) : nil
    }
}
