/// Writes the protobuf wire format. Zero values are left out where proto3 does; a caller that wants one writes it by
/// `rawVarint`.
package struct WireWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func varint(_ field: Int, _ value: UInt64) {
        if value == 0 { return }
        tag(field, .varint)
        rawVarint(value)
    }

    /// Writes an int32 or int64: negative numbers take ten bytes.
    package mutating func int(_ field: Int, _ value: Int64) {
        varint(field, UInt64(bitPattern: value))
    }

    package mutating func fixed64(_ field: Int, _ value: UInt64) {
        if value == 0 { return }
        tag(field, .fixed64)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    package mutating func fixed32(_ field: Int, _ value: UInt32) {
        if value == 0 { return }
        tag(field, .fixed32)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    package mutating func string(_ field: Int, _ value: String) {
        if value.isEmpty { return }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(value.utf8.count))
        bytes += value.utf8
    }

    package mutating func data(_ field: Int, _ value: some Collection<UInt8>) {
        if value.isEmpty { return }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(value.count))
        bytes += value
    }

    /// Writes a nested message, even when it is empty.
    package mutating func message(_ field: Int, _ write: (inout WireWriter) -> Void) {
        var nested = WireWriter()
        write(&nested)
        message(field, nested.bytes)
    }

    /// Writes a nested message that is encoded already.
    package mutating func message(_ field: Int, _ encoded: [UInt8]) {
        tag(field, .lengthDelimited)
        rawVarint(UInt64(encoded.count))
        bytes += encoded
    }

    /// Copies fields that are encoded already.
    package mutating func raw(_ encoded: UnsafeRawBufferPointer) {
        bytes += encoded
    }

    package mutating func tag(_ field: Int, _ type: WireType) {
        rawVarint(UInt64(field) << 3 | UInt64(type.rawValue))
    }

    package mutating func rawVarint(_ value: UInt64) {
        Varint.forEachByte(of: value) { bytes.append($0) }
    }
}
