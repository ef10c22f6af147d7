import ProtobufWire
import Testing

@Suite("Varints")
struct VarintTests {
    @Test("a varint of 1 to 10 bytes reads as the number it was written from")
    func everyLength() throws {
        var lengths: Set<Int> = []
        for bit in 0..<64 {
            for value in [UInt64(1) << UInt64(bit), (UInt64(1) << UInt64(bit)) - 1, ~0 >> UInt64(bit)] {
                let bytes = varint(value)
                lengths.insert(bytes.count)
                let (read, position) = try withReader(bytes + [0xFF]) { (try $0.varint(), $0.position) }
                #expect(read == value)
                #expect(position == bytes.count)
            }
        }
        #expect(lengths == Set(1...10))
    }

    @Test("an overlong varint of up to 10 bytes reads as the number", arguments: 1...10)
    func overlong(count: Int) throws {
        #expect(try withReader(varint(0, paddedTo: count)) { try $0.varint() } == 0)
        #expect(try withReader(varint(97, paddedTo: count)) { try $0.varint() } == 97)
    }

    @Test("bits past the 64th are dropped")
    func bitsPastTheLast() throws {
        let bytes = [UInt8](repeating: 0xFF, count: 9) + [0x7F]
        #expect(try withReader(bytes) { try $0.varint() } == .max)
        let lastOnly = [UInt8](repeating: 0x80, count: 9) + [0x7E]
        #expect(try withReader(lastOnly) { try $0.varint() } == 0)
    }

    @Test("eleven bytes are refused, and the error names the first of them")
    func elevenBytes() {
        let bytes = [0x01] + [UInt8](repeating: 0x80, count: 10) + [0x01]
        let error = wireError(bytes) {
            _ = try $0.varint()
            return try $0.varint()
        }
        #expect(error == WireError(.badVarint, offset: 1))
    }

    @Test("a varint that the buffer cuts short is truncated", arguments: 0...9)
    func cutShort(count: Int) {
        let bytes = [UInt8](repeating: 0xFF, count: count)
        #expect(wireError(bytes) { try $0.varint() } == WireError(.truncated, offset: 0))
    }

    @Test("a varint does not run on past the end of its nested message")
    func endOfNested() {
        let bytes: [UInt8] = [0x01, 0x80, 0x01]
        let error = wireError(bytes) { reader in
            var nested = try reader.message()
            return try nested.varint()
        }
        #expect(error == WireError(.truncated, offset: 1))
    }
}
