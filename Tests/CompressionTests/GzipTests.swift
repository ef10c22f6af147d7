import Compression
import TestSupport
import Testing

@Suite("Gzip")
struct GzipTests {
    /// Python: zlib.compress(b"hello") and gzip.compress(b"hello", mtime=0).
    private static let zlibHello: [UInt8] = [
        0x78, 0x9C, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x06, 0x2C, 0x02, 0x15,
    ]
    private static let gzipHello: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xFF, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x86,
        0xA6,
        0x10, 0x36, 0x05, 0x00, 0x00, 0x00,
    ]
    private static let hello = Array("hello".utf8)

    @Test("one compressor makes a whole member each time", arguments: GzipLibrary.all)
    func compressorIsReused(library: GzipLibrary) throws {
        let compress = library.makeCompressor()
        for text in ["first", "", "third, which is longer than the first"] {
            let bytes = Array(text.utf8)
            let member = bytes.withUnsafeBytes { compress($0) }
            #expect(member.starts(with: [0x1F, 0x8B, 8]))
            #expect(try library.inflate(member) == bytes)
        }
    }

    @Test(
        "pieces become one member, whatever their sizes, and the compressor is as new after each",
        arguments: GzipLibrary.all)
    func pieces(library: GzipLibrary) throws {
        var random = SeededGenerator.fresh(for: "gzip pieces")
        let compress = library.makePieceCompressor()
        let noise = (0..<100_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        for bytes in [[], Array("hello".utf8), tiled(Array("asynq_queue_size 17\n".utf8), count: 300_000), noise] {
            for _ in 0..<10 {
                var rest = bytes[...]
                var pieces: [ArraySlice<UInt8>] = []
                while !rest.isEmpty {
                    pieces.append(rest.prefix(Int.random(in: 0...80_000, using: &random)))
                    rest = rest.dropFirst(pieces.last?.count ?? 0)
                }
                let member = compress(pieces)
                #expect(try library.inflate(member) == bytes)
                #expect(try GzipLibrary.zlib.inflate(member) == bytes)
            }
        }
        // Output that ends where the space for it does, or next to there.
        for count in (32 << 10) - 60...(32 << 10) + 10 {
            #expect(try GzipLibrary.zlib.inflate(compress([noise[..<count]])) == Array(noise[..<count]))
        }
    }

    @Test("gzip and zlib data of other programs are told apart and inflated", arguments: GzipLibrary.all)
    func bothFormats(library: GzipLibrary) throws {
        #expect(try library.inflate(Self.gzipHello) == Self.hello)
        #expect(try library.inflate(Self.zlibHello) == Self.hello)
    }

    @Test("several gzip members in a row are one text, empty ones among them", arguments: GzipLibrary.all)
    func members(library: GzipLibrary) throws {
        let bytes = library.gzip(Self.hello) + library.gzip([]) + Self.gzipHello + library.gzip([])
        #expect(try library.inflate(bytes) == Self.hello + Self.hello)
    }

    @Test("every truncation is an error", arguments: GzipLibrary.all, [GzipTests.gzipHello, GzipTests.zlibHello])
    func truncated(library: GzipLibrary, bytes: [UInt8]) {
        for count in 0..<bytes.count {
            #expect(library.error(Array(bytes[..<count])) == .truncated, "first \(count) bytes")
        }
    }

    @Test("a second member that is cut short is an error, not the first member's text", arguments: GzipLibrary.all)
    func truncatedSecondMember(library: GzipLibrary) {
        for count in 1..<Self.gzipHello.count {
            #expect(library.error(Self.gzipHello + Self.gzipHello[..<count]) == .truncated)
        }
    }

    @Test("a changed byte of the checksum or the length is noticed", arguments: GzipLibrary.all, 17..<25)
    func corruptTrailer(library: GzipLibrary, index: Int) {
        var bytes = Self.gzipHello
        bytes[index] ^= 0x10
        #expect(isMalformed(library.error(bytes)), "byte \(index) was changed, and nothing noticed")
    }

    @Test("no change of a byte makes other text of it or a crash", arguments: GzipLibrary.all)
    func corruptAnywhere(library: GzipLibrary) {
        var random = SeededGenerator.fresh(for: "gzip corruption")
        let text = random.bytes(300) + [UInt8](repeating: 1, count: 3000)
        let whole = library.gzip(text)
        let inflater = Reused(library)
        for _ in 0..<2000 {
            var bytes = whole
            // Behind the header: time and operating system in it are not to be told.
            bytes[Int.random(in: 10..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            if let inflated = try? inflater.inflate(bytes) { #expect(inflated == text) }
        }
    }

    @Test("bytes behind the end that are no gzip member are refused", arguments: GzipLibrary.all)
    func trailingGarbage(library: GzipLibrary) {
        for garbage: [UInt8] in [[0], [1, 2, 3], Array("garbage and more".utf8)] {
            #expect(library.error(Self.gzipHello + garbage) != nil)
        }
    }

    @Test("plain text is no compressed data, and nothing is neither", arguments: GzipLibrary.all)
    func noCompressedData(library: GzipLibrary) {
        #expect(isMalformed(library.error(Array("plain text".utf8))), "plain text was inflated")
        #expect(library.error([]) == .truncated)
    }

    @Test("zlib data that asks for a dictionary is refused", arguments: GzipLibrary.all)
    func dictionary(library: GzipLibrary) {
        // CMF 0x78, FLG with FDICT: (0x78 * 256 + 0xBB) % 31 == 0.
        #expect(isMalformed(library.error([0x78, 0xBB, 0, 0, 0, 1, 0xCB, 0x48])), "the dictionary was not missed")
    }

    @Test("the limit itself is allowed, one byte more is not", arguments: GzipLibrary.all)
    func limit(library: GzipLibrary) throws {
        let bytes = library.gzip([UInt8](repeating: 0, count: 100_000))
        #expect(try library.inflate(bytes, limit: 100_000).count == 100_000)
        #expect(library.error(bytes, limit: 99_999) == .tooLarge(limit: 99_999))
        #expect(library.error(library.gzip([1]), limit: 0) == .tooLarge(limit: 0))
        #expect(try library.inflate(library.gzip([]), limit: 0) == [])
    }

    @Test("members that are small one by one count against the limit together", arguments: GzipLibrary.all)
    func limitOverMembers(library: GzipLibrary) {
        let member = library.gzip([UInt8](repeating: 0, count: 1000))
        let bytes = (0..<11).flatMap { _ in member }
        #expect(library.error(bytes, limit: 10_000) == .tooLarge(limit: 10_000))
    }

    @Test("an inflater that met broken data inflates the next body", arguments: GzipLibrary.all)
    func inflaterIsReused(library: GzipLibrary) throws {
        let inflater = Reused(library)
        for broken in [
            Array(Self.gzipHello[..<12]), Array("broken".utf8), library.gzip([UInt8](repeating: 0, count: 5000)),
        ] {
            #expect(inflater.error(broken, limit: 4000) != nil)
            #expect(try inflater.inflate(Self.gzipHello) == Self.hello)
            #expect(try inflater.inflate(Self.zlibHello) == Self.hello)
        }
    }

    /// A zlib stream of one block with fixed codes whose first code is a match, one byte back.
    @Test("A match before the first byte is told as what it is", arguments: GzipLibrary.all)
    func matchBeforeTheFirstByte(library: GzipLibrary) {
        let stream: [UInt8] = [0x78, 0x9C, 0x03, 0x02, 0, 0, 0, 0, 0, 0]
        do {
            _ = try stream.withUnsafeBytes { try library.makeInflater()($0, 100) }
            Issue.record("it was inflated")
        } catch {
            guard case .malformed(let reason)? = error as? DecompressionError else {
                Issue.record("\(error)")
                return
            }
            #expect(reason.hasSuffix("distance too far back"))
        }
    }
}
