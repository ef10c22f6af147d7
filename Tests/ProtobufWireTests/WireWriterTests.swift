import ProtobufWire
import TestSupport
import Testing
import Text

@Suite("WireWriter")
struct WireWriterTests {
    @Test("zero values are left out, an empty message is not")
    func zeros() {
        var writer = WireWriter()
        writer.varint(1, 0)
        writer.int(2, 0)
        writer.fixed64(3, 0)
        writer.fixed32(4, 0)
        writer.string(5, "")
        writer.data(6, [UInt8]())
        #expect(writer.bytes == [])
        writer.message(7) { _ in }
        #expect(writer.bytes == [0x3A, 0])
    }

    @Test("the examples of protobuf's own description come out byte for byte")
    func knownBytes() {
        var writer = WireWriter()
        writer.varint(1, 150)
        writer.string(2, "testing")
        writer.message(3) { $0.varint(1, 150) }
        #expect(
            writer.bytes == [
                0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67, 0x1A, 0x03, 0x08, 0x96, 0x01,
            ])
    }

    @Test("a negative number takes ten bytes and reads back")
    func negative() throws {
        var writer = WireWriter()
        writer.int(1, -2)
        #expect(writer.bytes == [0x08, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])
        let read = try withReader(writer.bytes) { reader in
            _ = try reader.tag()
            return Int64(bitPattern: try reader.varint())
        }
        #expect(read == -2)
    }

    @Test("a string's length counts bytes of UTF-8")
    func stringLength() {
        var writer = WireWriter()
        writer.string(1, "é😀")
        #expect(writer.bytes == [0x0A, 6, 0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80])
    }

    @Test("what is written reads back, with random numbers and texts")
    func roundTrip() throws {
        var random = SeededGenerator.fresh(for: "wire round trip")
        for _ in 0..<500 {
            let shift = UInt64.random(in: 0..<64, using: &random)
            let number = random.next() >> shift | 1
            let field = Int.random(in: 1..<1 << 29, using: &random)
            let data = random.bytes(Int.random(in: 1...300, using: &random))
            var writer = WireWriter()
            writer.varint(field, number)
            writer.fixed64(field, number)
            writer.fixed32(field, UInt32(truncatingIfNeeded: number))
            writer.message(field) { $0.data(field, data) }
            try withReader(writer.bytes) { reader in
                #expect(try reader.tag() == (field, .varint))
                #expect(try reader.varint() == number)
                #expect(try reader.tag() == (field, .fixed64))
                #expect(try reader.fixed64() == number)
                #expect(try reader.tag() == (field, .fixed32))
                #expect(try reader.fixed32() == UInt32(truncatingIfNeeded: number))
                #expect(try reader.tag() == (field, .lengthDelimited))
                var nested = try reader.message()
                #expect(try nested.tag() == (field, .lengthDelimited))
                #expect(Array(try nested.bytes()) == data)
                #expect(nested.isAtEnd && reader.isAtEnd)
            }
        }
    }

    @Test(
        "a message whose length was guessed wrong is whole",
        arguments: [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152])
    func guessedLengths(size: Int) {
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        var expected = WireWriter()
        expected.message(1, content)
        for guess in [0, 127, 128, 16_383, 16_384, 1 << 21, 1 << 28] {
            var buffer = GrowingBytes()
            buffer.append(varint: 10)
            buffer.appendMessage(guess: guess) { $0.append(content) }
            buffer.append("behind" as StaticString)
            #expect(buffer.bytes.elementsEqual(expected.bytes + Array("behind".utf8)), "guess \(guess)")
        }
    }

    @Test("a value's varint has the size that is told of it")
    func sizes() {
        for bit in 0..<64 {
            for value in [UInt64(1) << UInt64(bit), (UInt64(1) << UInt64(bit)) - 1, ~0 >> UInt64(bit)] {
                var buffer = GrowingBytes()
                buffer.append(varint: value)
                #expect(Varint.size(value) == buffer.count)
                #expect(Array(buffer.bytes) == varint(value))
            }
        }
    }
}
