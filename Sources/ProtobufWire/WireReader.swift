/// Why bytes are not protobuf.
package struct WireError: Error, Equatable, Sendable {
    package enum Reason: String, Sendable {
        case truncated = "the message ends in the middle of a value"
        case lengthPastEnd = "a length runs past the end of its message"
        case badVarint = "a varint is longer than 10 bytes"
        case badTag = "a tag has an impossible field number or wire type"
        case wrongWireType = "a field has another wire type than its definition"
        case badGroup = "a group is not closed, or closed by another field"
        case tooDeep = "groups or values are nested too deeply"
        case tooMany = "there are too many of them"
    }

    package let reason: Reason
    /// Bytes from the start of the buffer that the reader was made of.
    package let offset: Int

    package init(_ reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

/// The wire types of protobuf (https://protobuf.dev/programming-guides/encoding/).
package enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// Reads the protobuf wire format in place: no copy, no allocation, no trust in any length.
///
/// A reader covers `position..<end` of one buffer; the reader of a nested message shares the buffer, so offsets in
/// errors and ranges always count from the buffer's start. The buffer must outlive the reader, which therefore stays
/// inside the `withUnsafeBytes` that made it.
package struct WireReader {
    package let buffer: UnsafeRawBufferPointer
    package private(set) var position: Int
    package let end: Int

    package init(_ buffer: UnsafeRawBufferPointer) {
        self.buffer = buffer
        position = 0
        end = buffer.count
    }

    private init(_ buffer: UnsafeRawBufferPointer, from position: Int, to end: Int) {
        self.buffer = buffer
        self.position = position
        self.end = end
    }

    package var isAtEnd: Bool { position >= end }

    /// The next field's number and wire type.
    @inline(__always)
    package mutating func tag() throws(WireError) -> (field: Int, type: WireType) {
        let start = position
        let raw = try varint()
        guard let type = WireType(rawValue: UInt8(raw & 7)), raw >> 3 >= 1, raw >> 3 < 1 << 29 else {
            throw WireError(.badTag, offset: start)
        }
        return (Int(raw >> 3), type)
    }

    /// A varint of at most 10 bytes; bits past the 64th are dropped, as every protobuf reader does.
    @inline(__always)
    package mutating func varint() throws(WireError) -> UInt64 {
        if position < end {
            let byte = buffer[position]
            if byte < 0x80 {
                position += 1
                return UInt64(byte)
            }
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = position
        while position < end {
            let byte = buffer[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw WireError(.badVarint, offset: start) }
        }
        throw WireError(.truncated, offset: start)
    }

    @inline(__always)
    package mutating func fixed64() throws(WireError) -> UInt64 {
        guard end - position >= 8 else { throw WireError(.truncated, offset: position) }
        defer { position += 8 }
        return UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: position, as: UInt64.self))
    }

    @inline(__always)
    package mutating func fixed32() throws(WireError) -> UInt32 {
        guard end - position >= 4 else { throw WireError(.truncated, offset: position) }
        defer { position += 4 }
        return UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    /// The range in the buffer of a length-delimited value.
    @inline(__always)
    package mutating func range() throws(WireError) -> Range<Int> {
        let start = position
        let count = try varint()
        guard count <= UInt64(end - position) else { throw WireError(.lengthPastEnd, offset: start) }
        let range = position..<position + Int(count)
        position = range.upperBound
        return range
    }

    /// A reader of the nested message that comes next.
    @inline(__always)
    package mutating func message() throws(WireError) -> WireReader {
        let range = try range()
        return WireReader(buffer, from: range.lowerBound, to: range.upperBound)
    }

    /// The bytes of a length-delimited value, valid as long as the buffer.
    @inline(__always)
    package mutating func bytes() throws(WireError) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[try range()])
    }

    /// Throws unless the field has the wire type that its definition asks for.
    @inline(__always)
    package func expect(_ type: WireType, _ expected: WireType) throws(WireError) {
        if type != expected { throw WireError(.wrongWireType, offset: position) }
    }

    /// Steps over a value of the given type, groups included.
    package mutating func skip(_ type: WireType, field: Int, depth: Int = 0) throws(WireError) {
        switch type {
        case .varint: _ = try varint()
        case .fixed64: _ = try fixed64()
        case .fixed32: _ = try fixed32()
        case .lengthDelimited: _ = try range()
        case .endGroup: throw WireError(.badGroup, offset: position)
        case .startGroup:
            if depth >= 32 { throw WireError(.tooDeep, offset: position) }
            while true {
                if isAtEnd { throw WireError(.badGroup, offset: position) }
                let (inner, type) = try tag()
                if type == .endGroup {
                    if inner != field { throw WireError(.badGroup, offset: position) }
                    return
                }
                try skip(type, field: inner, depth: depth + 1)
            }
        }
    }
}
