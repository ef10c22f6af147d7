import ProtobufWire
import Testing

@Suite("Tags, lengths and fixed numbers")
struct FieldTests {
    @Test("field 0 is refused with every wire type", arguments: UInt64(0)...7)
    func fieldZero(type: UInt64) {
        #expect(wireError(tag(0, type)) { try $0.tag() } == WireError(.badTag, offset: 0))
    }

    @Test("wire types 6 and 7 are refused, and the error names where", arguments: [UInt64(6), 7])
    func unknownWireType(type: UInt64) {
        let bytes: [UInt8] = tag(1, 0) + [5] + tag(3, type)
        #expect(wireError(bytes) { try walk(&$0) } == WireError(.badTag, offset: 2))
    }

    @Test("the largest field number is 2^29 - 1")
    func largestField() throws {
        let (field, type) = try withReader(tag((1 << 29) - 1, 5)) { try $0.tag() }
        #expect(field == 536_870_911)
        #expect(type == .fixed32)
        for field: UInt64 in [1 << 29, 1 << 32, (1 << 32) + 1, 1 << 60] {
            #expect(wireError(tag(field, 0)) { try $0.tag() }?.reason == .badTag)
        }
    }

    @Test("an overlong tag is read as its number")
    func overlongTag() throws {
        let (field, type) = try withReader(varint(1 * 8 + 2, paddedTo: 5)) { try $0.tag() }
        #expect(field == 1)
        #expect(type == .lengthDelimited)
    }

    @Test("every wire type that exists is told apart")
    func wireTypes() throws {
        for number: UInt64 in 0...5 {
            #expect(try withReader(tag(9, number)) { try $0.tag().type.rawValue } == UInt8(number))
        }
    }

    @Test(
        "a length past the end is refused, however large",
        arguments: [
            4, 5, 127, 128, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 62, 1 << 63, (1 << 63) - 1, .max,
        ] as [UInt64])
    func lengthPastEnd(length: UInt64) {
        let bytes = varint(length) + [1, 2, 3]
        #expect(wireError(bytes) { try $0.range() } == WireError(.lengthPastEnd, offset: 0))
        #expect(wireError(bytes) { try $0.bytes().count } == WireError(.lengthPastEnd, offset: 0))
        #expect(wireError(bytes) { try $0.message().end } == WireError(.lengthPastEnd, offset: 0))
        #expect(wireError(tag(1, 2) + bytes) { try walk(&$0) } == WireError(.lengthPastEnd, offset: 1))
    }

    @Test("a length that reaches the end exactly is taken, and so is an empty one at the end")
    func lengthToTheEnd() throws {
        #expect(try withReader([3, 1, 2, 3]) { try $0.range() } == 1..<4)
        #expect(try withReader([0]) { try $0.range() } == 1..<1)
        #expect(try withReader([0]) { try $0.bytes().count } == 0)
    }

    @Test("a nested length must fit into its message, not only into the buffer")
    func lengthPastNested() {
        let bytes: [UInt8] = [2, 2, 9, 9, 9]
        let error = wireError(bytes) { reader in
            var nested = try reader.message()
            return try nested.range()
        }
        #expect(error == WireError(.lengthPastEnd, offset: 1))
    }

    @Test("fixed numbers are little-endian and need all their bytes")
    func fixedNumbers() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        #expect(try withReader(bytes) { try $0.fixed64() } == 0x0807_0605_0403_0201)
        #expect(try withReader(bytes) { try $0.fixed32() } == 0x0403_0201)
        for count in 0..<8 {
            #expect(wireError(Array(bytes[..<count])) { try $0.fixed64() } == WireError(.truncated, offset: 0))
        }
        for count in 0..<4 {
            #expect(wireError(Array(bytes[..<count])) { try $0.fixed32() } == WireError(.truncated, offset: 0))
        }
    }

    @Test("a fixed number is read wherever it lies, aligned or not", arguments: 0..<16)
    func unaligned(offset: Int) throws {
        let bytes = [UInt8](repeating: 0, count: offset) + [0xEF, 0xBE, 0xAD, 0xDE, 0, 0, 0, 0x80]
        let value = try withReader(bytes) { reader in
            for _ in 0..<offset { _ = try reader.varint() }
            return try reader.fixed64()
        }
        #expect(value == 0x8000_0000_DEAD_BEEF)
    }

    @Test("an empty buffer is an empty message")
    func empty() throws {
        #expect(try withReader([]) { try walk(&$0) } == [])
        #expect(wireError([]) { try $0.tag() } == WireError(.truncated, offset: 0))
    }

    @Test("a field of another wire type than expected is an error")
    func expectation() {
        #expect(wireError([]) { try $0.expect(.varint, .varint) } == nil)
        #expect(wireError([]) { try $0.expect(.varint, .fixed64) }?.reason == .wrongWireType)
    }
}
