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
        let (value, after) = try Self.longVarint(buffer, from: next, to: end)
        next = after
        return value
    }

    /// Reads a varint of several bytes; returns the position behind it, too. It takes and returns values, as `skipped` does:
    /// a reader that is handed to a function that is not inlined has to stand in memory, in every step.
    /// - Throws: `WireError` where the bytes end early, or the varint is longer than 10 bytes.
    @usableFromInline @inline(never)
    static func longVarint(
        _ buffer: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) throws(WireError) -> (value: UInt64, after: Int) {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var next = start
        while next < end {
            let byte = buffer[next]
            next &+= 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return (value, next) }
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
    @inlinable @inline(__always)
    public mutating func skip(_ type: WireType, field: Int) throws(WireError) {
        switch type {
        case .lengthDelimited: _ = try range()
        case .varint: _ = try varint()
        default: next = try Self.skipped(type, field: field, by: self, depth: 0)
        }
    }

    /// Returns the position behind a value.
    /// - Throws: `WireError` where the value is malformed, or groups lie too deep within one another.
    @usableFromInline @inline(never)
    static func skipped(
        _ type: WireType, field: Int, by start: WireReader, depth: Int
    ) throws(WireError) -> Int {
        var reader = start
        switch type {
        case .varint: _ = try reader.varint()
        case .fixed64: _ = try reader.fixed64()
        case .fixed32: _ = try reader.fixed32()
        case .lengthDelimited: _ = try reader.range()
        case .endGroup: throw WireError(.badGroup, offset: reader.next)
        case .startGroup:
            if depth >= 32 { throw WireError(.tooDeep, offset: reader.next) }
            while true {
                if reader.isAtEnd { throw WireError(.badGroup, offset: reader.next) }
                let (inner, type) = try reader.tag()
                if type == .endGroup {
                    if inner != field { throw WireError(.badGroup, offset: reader.next) }
                    break
                }
                reader.next = try skipped(type, field: inner, by: reader, depth: depth + 1)
            }
        }
        return reader.next
    }

    // MARK: Fields of one definition

    /// Reads the next field's number and wire type as one number, to be compared with those of a definition. A tag that is
    /// none of these goes to `stepOver`, which checks it.
    /// - Throws: `WireError` where the bytes end early.
    @inlinable @inline(__always)
    public mutating func wireTag() throws(WireError) -> WireTag { WireTag(raw: try varint()) }

    /// Steps over a field that its reader does not take.
    /// - Parameters:
    ///   - start: The position of its tag.
    ///   - known: The fields that the definition has: one of these is of a wrong type.
    /// - Throws: `WireError` for such a field, for a tag that is none, and where the value is malformed.
    @inlinable @inline(__always)
    public mutating func stepOver(from start: Int, known: FieldSet) throws(WireError) {
        next = try Self.steppedOver(WireReader(buffer, from: start, to: end), known: known)
    }

    @usableFromInline @inline(never)
    static func steppedOver(_ start: WireReader, known: FieldSet) throws(WireError) -> Int {
        var reader = start
        let (field, type) = try reader.tag()
        if known.contains(field) { throw WireError(.wrongWireType, offset: reader.next) }
        return try skipped(type, field: field, by: reader, depth: 0)
    }
}

/// A field's number and wire type as they stand on the wire.
public struct WireTag: Equatable {
    public let raw: UInt64

    @inlinable @inline(__always)
    init(raw: UInt64) { self.raw = raw }

    @inlinable @inline(__always)
    public static func varint(_ field: UInt64) -> WireTag { WireTag(raw: field << 3) }
    @inlinable @inline(__always)
    public static func fixed64(_ field: UInt64) -> WireTag { WireTag(raw: field << 3 | 1) }
    /// The tag of a text, of bytes or of a message.
    @inlinable @inline(__always)
    public static func bytes(_ field: UInt64) -> WireTag { WireTag(raw: field << 3 | 2) }
    @inlinable @inline(__always)
    public static func fixed32(_ field: UInt64) -> WireTag { WireTag(raw: field << 3 | 5) }

    @inlinable @inline(__always)
    public static func == (left: WireTag, right: WireTag) -> Bool { left.raw == right.raw }
}

/// The numbers of a message's fields, below 64.
public struct FieldSet: Sendable {
    @usableFromInline let bits: UInt64

    @inlinable @inline(__always)
    public init(_ fields: ClosedRange<Int>) { bits = (1 << fields.upperBound &* 2) &- (1 << fields.lowerBound) }

    @inlinable @inline(__always)
    func contains(_ field: Int) -> Bool { field < 64 && bits >> UInt64(field) & 1 == 1 }
}
