import Compression
import Glibc
import Testing

@Suite("Decompression bombs", .serialized)
struct BombTests {
    private static let megabyte = 1 << 20

    @Test("a gzip bomb is stopped at the limit, and the memory it takes is bounded by it", arguments: GzipLibrary.all)
    func gzip(library: GzipLibrary) {
        let member = library.gzip([UInt8](repeating: 0, count: 16 * Self.megabyte))
        let bomb = (0..<32).flatMap { _ in member }  // 512 MiB from about 2 MiB
        #expect(bomb.count < 4 * Self.megabyte)
        expectStopped(bomb, by: Reused(library))
    }

    @Test(
        "a gzip member that calls itself large gets no memory for it, nor one that calls itself small more than allowed"
    )
    func lyingSize() {
        for library in GzipLibrary.all {
            var member = library.gzip([UInt8](repeating: 0, count: 16 * Self.megabyte))
            member.replaceSubrange((member.count - 4)..., with: [1, 0, 0, 0])
            #expect(library.error(member, limit: 2 * Self.megabyte) == .tooLarge(limit: 2 * Self.megabyte))
            #expect(isMalformed(library.error(member, limit: 16 * Self.megabyte)))
            member.replaceSubrange((member.count - 4)..., with: [0xFF, 0xFF, 0xFF, 0xFF])
            expectStopped(member, by: Reused(library))
        }
    }

    @Test("a zstd bomb is stopped at the limit, whether it says its size or not", arguments: [true, false])
    func zstd(saysSize: Bool) {
        let bomb = (0..<32).flatMap { _ in zstdBomb(blocks: 128, saysSize: saysSize) }  // 512 MiB from 16 KiB
        #expect(bomb.count < 32 << 10)
        expectStopped(bomb, by: Reused(ZstdDecompressor()))
    }

    /// Zero bytes, 128 KiB from each block of four bytes (RFC 8878, section 3.1.1.2).
    private func zstdBomb(blocks: Int, saysSize: Bool) -> [UInt8] {
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        let size = UInt32(blocks << 17)
        // Single segment with a size of four bytes, or a window of 128 KiB and no size.
        frame += saysSize ? [0xA0] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } : [0x00, 0x38]
        for block in 1...blocks {
            let header = UInt32(1 << 17) << 3 | 1 << 1 | (block == blocks ? 1 : 0)
            frame += (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) } + [0]
        }
        return frame
    }

    @Test("the frames of the zstd bomb are good ones")
    func zstdBombIsZstd() throws {
        for saysSize in [true, false] {
            let frame = zstdBomb(blocks: 3, saysSize: saysSize)
            #expect(try Reused(ZstdDecompressor()).inflate(frame) == [UInt8](repeating: 0, count: 3 << 17))
        }
    }

    private func expectStopped(_ bomb: [UInt8], by inflater: Reused) {
        let before = peakResidentBytes()
        #expect(inflater.error(bomb, limit: 2 * Self.megabyte) == .tooLarge(limit: 2 * Self.megabyte))
        #expect(peakResidentBytes() - before < 256 * Self.megabyte)  // Other tests run beside this one.
    }

    private func peakResidentBytes() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Int(usage.ru_maxrss) * 1024
    }
}
