import Compression
import TestSupport
import Testing

@Suite("Zstd")
struct ZstdTests {
    /// Python's zstandard: ZstdCompressor(level=1, write_checksum=True).compress(b"hello").
    private static let hello: [UInt8] = [
        0x28, 0xB5, 0x2F, 0xFD, 0x24, 0x05, 0x29, 0x00, 0x00, 0x68, 0x65, 0x6C, 0x6C, 0x6F, 0xA3, 0x6D, 0x9F, 0x88,
    ]
    /// The same from a compressobj, which does not know the size when it writes the header.
    private static let streamedHello: [UInt8] = [
        0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x48, 0x29, 0x00, 0x00, 0x68, 0x65, 0x6C, 0x6C, 0x6F, 0xA3, 0x6D, 0x9F, 0x88,
    ]
    private static let text = Array("hello".utf8)

    private func zstd(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { ZstdCompressor().compress($0) }
    }

    private var decompressor: Reused { Reused(ZstdDecompressor()) }

    @Test(
        "what was compressed decompresses to the same bytes, whatever their size",
        arguments: [
            0, 1, 2, 100, 32_767, 32_768, 32_769, 131_071, 131_072, 131_073, 1 << 20, 16 << 20,
        ])
    func roundTrip(count: Int) throws {
        var random = SeededGenerator.fresh(for: "zstd round trip of \(count)")
        let requests = tiled(try capturedRequests(), count: count)
        for bytes in [random.noise(count), [UInt8](repeating: 7, count: count), requests] {
            #expect(try decompressor.inflate(zstd(bytes), limit: count) == bytes)
            if count > 0 { #expect(decompressor.error(zstd(bytes), limit: count - 1) == .tooLarge(limit: count - 1)) }
        }
    }

    @Test("what is compressed in pieces is one frame of all of them", arguments: [0, 1, 40_000, 300_000])
    func pieces(count: Int) throws {
        var random = SeededGenerator.fresh(for: "zstd in pieces of \(count)")
        let bytes = random.noise(count / 2) + [UInt8](repeating: 7, count: count - count / 2)
        let compressor = ZstdCompressor()
        for size in [1 + count / 3, 64 << 10] {
            let packed = compressor.compress { take in
                for start in stride(from: 0, to: bytes.count, by: size) {
                    Array(bytes[start..<min(start + size, bytes.count)]).withUnsafeBytes { take($0) }
                }
            }
            #expect(try decompressor.inflate(packed, limit: count + 1) == bytes)
        }
        #expect(try decompressor.inflate(zstd(bytes), limit: count + 1) == bytes, "the compressor is as before")
    }

    @Test("frames of other programs, with and without their size, are read")
    func foreignFrames() throws {
        #expect(try decompressor.inflate(Self.hello) == Self.text)
        #expect(try decompressor.inflate(Self.streamedHello) == Self.text)
        #expect(decompressor.error(Self.streamedHello, limit: 4) == .tooLarge(limit: 4))
    }

    @Test("several frames in a row are one text, empty and skippable ones among them")
    func frames() throws {
        let skippable: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]
        let bytes = Self.hello + skippable + zstd([]) + Self.streamedHello + zstd(Self.text) + skippable
        #expect(try decompressor.inflate(bytes) == Self.text + Self.text + Self.text)
        #expect(decompressor.error(bytes, limit: 14) == .tooLarge(limit: 14))
        #expect(try decompressor.inflate(skippable) == [])
    }

    @Test("frames that don't say their size, and are larger than any guess")
    func growth() throws {
        // Blocks of 128 KiB of one byte, in a frame with a window of 128 KiB: 4 bytes each.
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x38]
        for last in [false, false, true] {
            let header = UInt32(1 << 17) << 3 | 1 << 1 | (last ? 1 : 0)
            frame += (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) } + [9]
        }
        #expect(try decompressor.inflate(Self.hello + frame) == Self.text + [UInt8](repeating: 9, count: 3 << 17))
    }

    @Test("every truncation is an error", arguments: [ZstdTests.hello, ZstdTests.streamedHello])
    func truncated(bytes: [UInt8]) {
        for count in 0..<bytes.count {
            #expect(decompressor.error(Array(bytes[..<count])) == .truncated, "first \(count) bytes")
            if count > 0 {
                #expect(decompressor.error(bytes + bytes[..<count]) == .truncated, "first \(count) bytes again")
            }
        }
    }

    @Test("bytes behind the end that are no frame are refused, as is what is no frame at all")
    func garbage() {
        for garbage: [UInt8] in [[0], [1, 2, 3], Array("garbage and more".utf8)] {
            #expect(decompressor.error(Self.hello + garbage) != nil)
        }
        #expect(isMalformed(decompressor.error(Array("plain text".utf8))))
        #expect(decompressor.error([]) == .truncated)
    }

    @Test("the formats from before RFC 8878 are refused", arguments: 0x1E...0x27)
    func legacy(version: Int) {
        #expect(isMalformed(decompressor.error([UInt8(version), 0xB5, 0x2F, 0xFD] + Self.hello[4...])))
    }

    @Test("a frame that needs a dictionary is refused")
    func dictionary() {
        // Frame header with a dictionary id of one byte: 7.
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x21, 7, 5, 0x29, 0, 0] + Self.text
        #expect(isMalformed(decompressor.error(frame)))
    }

    @Test("a window of terabytes gets no memory, and a frame that needs none of it is read")
    func hugeWindow() throws {
        // Window descriptor 0xF8: 2 TiB. No size, no checksum, one raw block.
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xF8, 0x29, 0, 0] + Self.text
        let error = decompressor.error(frame)
        #expect(error == nil || isMalformed(error))
        // 64 MiB (0x80): more than any output limit in use, and allowed by libzstd.
        #expect(try decompressor.inflate([0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x80, 0x29, 0, 0] + Self.text) == Self.text)
    }

    @Test("a frame that says another size than it has is refused")
    func lyingSize() {
        var larger = Self.hello
        larger[5] = 6
        #expect(decompressor.error(larger) != nil)
        var smaller = Self.hello
        smaller[5] = 4
        #expect(decompressor.error(smaller) != nil)
    }

    @Test("no change of a byte makes other text of it or a crash")
    func corruptAnywhere() throws {
        var random = SeededGenerator.fresh(for: "zstd corruption")
        let text = Array(try capturedRequests().prefix(20_000))
        let whole = zstd(text)
        let reader = decompressor
        for _ in 0..<3000 {
            var bytes = whole
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            if reader.error(bytes) == nil { #expect(try reader.inflate(bytes) == text) }
            // What was broken leaves nothing behind.
            #expect(try reader.inflate(Self.hello) == Self.text)
        }
    }

    @Test("random bytes behind a good magic number crash nothing")
    func noise() {
        var random = SeededGenerator.fresh(for: "noise as zstd")
        let reader = decompressor
        for _ in 0..<20_000 {
            _ = reader.error(Self.hello[..<4] + random.bytes(Int.random(in: 0...200, using: &random)), limit: 5000)
        }
    }

    @Test("one compressor makes a whole frame each time")
    func compressorIsReused() throws {
        let compressor = ZstdCompressor()
        for text in ["first", "", "third, which is longer than the first"] {
            let bytes = Array(text.utf8)
            #expect(try decompressor.inflate(bytes.withUnsafeBytes { compressor.compress($0) }) == bytes)
        }
    }
}
