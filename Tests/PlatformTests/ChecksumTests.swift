import Platform
import TestSupport
import Testing

private func checksum(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { crc32c($0, continuing: crc) }
}

private func portable(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { crc32cPortable($0, continuing: crc) }
}

@Suite("CRC-32C")
struct ChecksumTests {
    @Test(
        "the vectors of RFC 3720 come out, by the instruction and by the table",
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ([UInt8](0...31), 0x46DD_794E), ([UInt8]((0...31).reversed()), 0x113F_DB5C),
            (Array("123456789".utf8), 0xE306_9283), ([], 0),
        ] as [([UInt8], UInt32)])
    func vectors(bytes: [UInt8], expected: UInt32) {
        #expect(checksum(bytes) == expected)
        #expect(portable(bytes) == expected)
    }

    @Test("instruction and table agree on every length, offset and start")
    func agreement() {
        var random = SeededGenerator.fresh(for: "crc32c")
        let bytes = random.bytes(16 << 10)
        bytes.withUnsafeBytes { whole in
            for _ in 0..<1000 {
                let start = Int.random(in: 0...64, using: &random)
                let count = Int.random(in: 0...(Bool.random(using: &random) ? 40 : 16_000), using: &random)
                let part = UnsafeRawBufferPointer(rebasing: whole[start..<start + count])
                let seed = UInt32(truncatingIfNeeded: random.next())
                #expect(crc32c(part, continuing: seed) == crc32cPortable(part, continuing: seed))
            }
        }
    }

    @Test("a checksum goes on over pieces")
    func pieces() {
        var random = SeededGenerator.fresh(for: "crc32c pieces")
        let bytes = random.bytes(1000)
        for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
            let first = checksum(Array(bytes[..<cut]))
            #expect(checksum(Array(bytes[cut...]), continuing: first) == checksum(bytes))
        }
    }

    @Test("nothing leaves the checksum as it was")
    func nothing() {
        #expect(crc32c(UnsafeRawBufferPointer(start: nil, count: 0), continuing: 77) == 77)
        #expect(checksum([], continuing: 77) == 77)
    }
}
