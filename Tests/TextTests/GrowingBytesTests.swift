import TestSupport
import Testing

@testable import Text

@Suite("Growing bytes")
struct GrowingBytesTests {
    @Test("what is appended in random pieces is there in their order, through every growth")
    func appending() {
        var random = SeededGenerator.fresh(for: "growing bytes")
        var buffer = GrowingBytes()
        var expected: [UInt8] = []
        for _ in 0..<3000 {
            switch Int.random(in: 0...6, using: &random) {
            case 0:
                let byte = UInt8.random(in: .min ... .max, using: &random)
                buffer.append(byte)
                expected.append(byte)
            case 1:
                let bytes = [UInt8](repeating: 7, count: Int.random(in: 0...200, using: &random))
                buffer.append(bytes)
                expected += bytes
            case 2:
                buffer.append("größer" as String)
                expected += "größer".utf8
            case 3:
                buffer.append("static" as StaticString)
                expected += "static".utf8
            case 4:
                let number = random.next() >> UInt64.random(in: 0...63, using: &random)
                buffer.append(decimal: number)
                expected += String(number).utf8
            case 5:
                let number = random.next()
                buffer.append(littleEndian: UInt32(truncatingIfNeeded: number))
                buffer.append(hex: number)
                withUnsafeBytes(of: UInt32(truncatingIfNeeded: number).littleEndian) { expected += $0 }
                expected += Hex.text(number, digits: 16).utf8
            default:
                let end = Int.random(in: 0...expected.count, using: &random)
                let start = Int.random(in: max(0, end - 300)...end, using: &random)
                buffer.append(copyOf: start..<end)
                expected += expected[start..<end]
            }
        }
        #expect(Array(buffer.bytes) == expected)
    }

    @Test(
        "numbers have all their digits",
        arguments: [0, 1, 9, 10, 99, 100, 101, 999_999_999, 1_000_000_000, 9_999_999_999_999_999_999, .max] as [UInt64])
    func decimals(number: UInt64) {
        var buffer = GrowingBytes()
        buffer.append(decimal: number)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == String(number))
    }

    @Test("a fixed number of digits has zeros in front, and the last ones of a longer number")
    func fixedDigits() {
        var buffer = GrowingBytes()
        buffer.append(decimal: 65, digits: 3)
        buffer.append(decimal: 0, digits: 2)
        buffer.append(decimal: 12_345, digits: 3)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "06500345")
    }

    @Test("a range is copied over another one, forwards and backwards, where the two overlap as well")
    func copying() {
        var buffer = GrowingBytes()
        buffer.append("abcdef" as StaticString)
        buffer.append(zeros: 2)
        buffer.copy(1..<6, to: 3)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "abcbcdef")
        buffer.copy(3..<8, to: 0)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "bcdefdef")
        buffer.append(zeros: 5000)
        #expect(buffer.count == 5008 && buffer.bytes.dropFirst(8).allSatisfy { $0 == 0 })
    }

    @Test("a buffer that was emptied is written anew, whether it gave memory back or not", arguments: [0, 1 << 20])
    func reset(kept: Int) {
        var buffer = GrowingBytes()
        for _ in 0..<10_000 { buffer.append("x" as StaticString) }
        buffer.reset(keepingAtMost: kept)
        #expect(buffer.count == 0)
        for _ in 0..<10_000 { buffer.append("y" as StaticString) }
        #expect(buffer.bytes.allSatisfy { $0 == UInt8(ascii: "y") } && buffer.count == 10_000)
        buffer.truncate(to: 3)
        buffer.append("z" as StaticString)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "yyyz")
    }

    @Test("integers of variable length have seven bits a byte, the last one without its mark")
    func varints() {
        var buffer = GrowingBytes()
        let values: [UInt64] = [0, 127, 128, 16_383, 16_384, .max]
        buffer.append(varints: values.count) { values[$0] }
        #expect(
            Array(buffer.bytes)
                == [0, 0x7F, 0x80, 1, 0xFF, 0x7F, 0x80, 0x80, 1] + [UInt8](repeating: 0xFF, count: 9) + [1])
    }

    @Test("a line has a copy of its beginning, a short text and a number, whatever their lengths", arguments: 0...40)
    func lines(length: Int) {
        for text in ["", "le=\"0.5\"} ", String(repeating: "x", count: ShortText.capacity)] {
            var buffer = GrowingBytes()
            let beginning = [UInt8](repeating: UInt8(ascii: "b"), count: length)
            buffer.append(beginning)
            buffer.append(copyOf: 0..<length, ShortText(text), decimal: 12_345)
            #expect(Array(buffer.bytes) == beginning + beginning + Array((text + "12345").utf8))
        }
    }

    @Test("a byte that is set replaces the one that was there, the others stay")
    func setting() {
        var buffer = GrowingBytes()
        buffer.append("abc" as StaticString)
        buffer.set(UInt8(ascii: "X"), at: 1)
        buffer.set(UInt8(ascii: "Z"), at: 2)
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "aXZ")
    }
}
