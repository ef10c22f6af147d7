/// The reason why bytes are not protobuf.
public struct WireError: Error, Equatable, Sendable {
    public enum Reason: String, Sendable {
        case truncated = "the message ends in the middle of a value"
        case lengthPastEnd = "a length runs past the end of its message"
        case badVarint = "a varint is longer than 10 bytes"
        case badTag = "a tag has an impossible field number or wire type"
        case wrongWireType = "a field has another wire type than its definition"
        case badGroup = "a group is not closed, or closed by another field"
        case tooDeep = "groups or values are nested too deeply"
        case tooMany = "there are too many of them"
    }

    public let reason: Reason
    /// The place of the fault, in bytes from the start of the buffer that the reader was made of.
    public let offset: Int

    public init(_ reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

/// The wire types of protobuf (https://protobuf.dev/programming-guides/encoding/).
public enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5

    /// The type in the lowest bits of a tag; nil for a number that stands for none.
    @inlinable @inline(__always)
    init?(ofTag tag: UInt64) {
        switch tag & 7 {
        case 0: self = .varint
        case 1: self = .fixed64
        case 2: self = .lengthDelimited
        case 3: self = .startGroup
        case 4: self = .endGroup
        case 5: self = .fixed32
        default: return nil
        }
    }
}

/// Reads the protobuf wire format in place: no copy, no allocation, no trust in any length.
///
/// A reader covers `position..<end` of one buffer; the reader of a nested message shares the buffer, so offsets in
/// errors and ranges always count from the buffer's start. The buffer must outlive the reader, which therefore stays
/// inside the `withUnsafeBytes` that made it.
///
/// The small functions are inlinable: a scan makes a hundred calls for a span, and as calls they are half of its time.
public struct WireReader {
    public let buffer: UnsafeRawBufferPointer
    @usableFromInline var next: Int
    public let end: Int

    public init(_ buffer: UnsafeRawBufferPointer) {
        self.init(buffer, from: 0, to: buffer.count)
    }

    @inlinable @inline(__always)
    init(_ buffer: UnsafeRawBufferPointer, from position: Int, to end: Int) {
        self.buffer = buffer
        next = position
        self.end = end
    }

    @inlinable @inline(__always)
    public var position: Int { next }

    @inlinable @inline(__always)
    public var isAtEnd: Bool { next >= end }

    /// Reads the next field's number and wire type.
    /// - Throws: `WireError` where the bytes end early, or the number or the type is invalid.
    @inlinable @inline(__always)
    public mutating func tag() throws(WireError) -> (field: Int, type: WireType) {
        let start = next
        let raw = try varint()
        guard let type = WireType(ofTag: raw), raw >> 3 &- 1 < 1 << 29 - 1 else {
            throw WireError(.badTag, offset: start)
        }
        return (Int(truncatingIfNeeded: raw >> 3), type)
    }

    /// Reads a varint of at most 10 bytes; bits past the 64th are dropped, as every protobuf reader does.
    /// - Throws: `WireError` where the bytes end early, or the varint is longer.
    @inlinable @inline(__always)
    public mutating func varint() throws(WireError) -> UInt64 {
        if next < end {
            let byte = buffer[next]
            if byte < 0x80 {
                next &+= 1
                return UInt64(byte)
            }
        }
        return try longVarint()
    }

    @usableFromInline @inline(never)
    mutating func longVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = next
        while next < end {
            let byte = buffer[next]
            next += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw WireError(.badVarint, offset: start) }
        }
        throw WireError(.truncated, offset: start)
    }

    /// Reads eight bytes, the lowest first.
    /// - Throws: `WireError` where fewer are left.
    @inlinable @inline(__always)
    public mutating func fixed64() throws(WireError) -> UInt64 {
        guard end &- next >= 8 else { throw WireError(.truncated, offset: next) }
        defer { next &+= 8 }
        return UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: next, as: UInt64.self))
    }

    /// Reads four bytes, the lowest first.
    /// - Throws: `WireError` where fewer are left.
    @inlinable @inline(__always)
    public mutating func fixed32() throws(WireError) -> UInt32 {
        guard end &- next >= 4 else { throw WireError(.truncated, offset: next) }
        defer { next &+= 4 }
        return UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: next, as: UInt32.self))
    }

    /// Reads a length, and returns the range in the buffer of the value behind it.
    /// - Throws: `WireError` where the value would end behind the reader.
    @inlinable @inline(__always)
    public mutating func range() throws(WireError) -> Range<Int> {
        let start = next
        let count = try varint()
        guard count <= UInt64(truncatingIfNeeded: end &- next) else { throw WireError(.lengthPastEnd, offset: start) }
        let range = Range(uncheckedBounds: (next, next &+ Int(truncatingIfNeeded: count)))
        next = range.upperBound
        return range
    }

    /// Returns a reader of the nested message that comes next.
    /// - Throws: `WireError` where the message would end behind this reader.
    @inlinable @inline(__always)
    public mutating func message() throws(WireError) -> WireReader {
        let range = try range()
        return WireReader(buffer, from: range.lowerBound, to: range.upperBound)
    }

    /// Returns the bytes of a length-delimited value, valid as long as the buffer.
    /// - Throws: `WireError` where the value would end behind the reader.
    @inlinable @inline(__always)
    public mutating func bytes() throws(WireError) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[try range()])
    }

    /// Checks that the field has the wire type that its definition asks for.
    /// - Throws: `WireError` for another type.
    @inlinable @inline(__always)
    public func expect(_ type: WireType, _ expected: WireType) throws(WireError) {
        if type != expected { throw WireError(.wrongWireType, offset: next) }
    }

    /// Steps over a value of the given type, groups included.
    /// - Throws: `WireError` where the value is malformed, or groups lie too deep within one another.
    public mutating func skip(_ type: WireType, field: Int, depth: Int = 0) throws(WireError) {
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
