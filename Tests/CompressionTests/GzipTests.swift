import Compression
import TestSupport
import Testing

func gzip(_ bytes: [UInt8]) -> [UInt8] {
    bytes.withUnsafeBytes { GzipCompressor().compress($0) }
}

func inflate(_ bytes: [UInt8], limit: Int = 1 << 20, with inflater: Inflater = Inflater()) throws -> [UInt8] {
    try bytes.withUnsafeBytes { try inflater.inflate($0, limit: limit) }
}

func inflationError(_ bytes: [UInt8], limit: Int = 1 << 20, with inflater: Inflater = Inflater()) -> DecompressionError? {
    do {
        _ = try inflate(bytes, limit: limit, with: inflater)
        return nil
    } catch {
        return error as? DecompressionError
    }
}

@Suite("Gzip")
struct GzipTests {
    /// Python: zlib.compress(b"hello") and gzip.compress(b"hello", mtime=0).
    private static let zlibHello: [UInt8] = [
        0x78, 0x9C, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x06, 0x2C, 0x02, 0x15,
    ]
    private static let gzipHello: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xFF, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x86, 0xA6,
        0x10, 0x36, 0x05, 0x00, 0x00, 0x00,
    ]
    private static let hello = Array("hello".utf8)

    @Test("what was compressed inflates to the same bytes, whatever their size", arguments: [
        0, 1, 2, 100, 65_535, 65_536, 65_537, 200_000,
    ])
    func roundTrip(count: Int) throws {
        var random = SeededGenerator.fresh(for: "gzip round trip of \(count)")
        let noise = random.bytes(count)
        #expect(try inflate(gzip(noise)) == noise)
        let plain = [UInt8](repeating: 7, count: count)
        #expect(try inflate(gzip(plain)) == plain)
    }

    @Test("one compressor makes a whole member each time")
    func compressorIsReused() throws {
        let compressor = GzipCompressor()
        for text in ["first", "", "third, which is longer than the first"] {
            let bytes = Array(text.utf8)
            let member = bytes.withUnsafeBytes { compressor.compress($0) }
            #expect(member.starts(with: [0x1F, 0x8B, 8]))
            #expect(try inflate(member) == bytes)
        }
    }

    @Test("gzip and zlib data of other programs are told apart and inflated")
    func bothFormats() throws {
        #expect(try inflate(Self.gzipHello) == Self.hello)
        #expect(try inflate(Self.zlibHello) == Self.hello)
    }

    @Test("several gzip members in a row are one text, empty ones among them")
    func members() throws {
        let bytes = gzip(Self.hello) + gzip([]) + Self.gzipHello + gzip([])
        #expect(try inflate(bytes) == Self.hello + Self.hello)
    }

    @Test("every truncation is an error", arguments: [GzipTests.gzipHello, GzipTests.zlibHello])
    func truncated(bytes: [UInt8]) {
        for count in 0..<bytes.count {
            #expect(inflationError(Array(bytes[..<count])) == .truncated, "first \(count) bytes")
        }
    }

    @Test("a second member that is cut short is an error, not the first member's text")
    func truncatedSecondMember() {
        for count in 1..<Self.gzipHello.count {
            #expect(inflationError(Self.gzipHello + Self.gzipHello[..<count]) == .truncated)
        }
    }

    @Test("a changed byte of the checksum or the length is noticed", arguments: 17..<25)
    func corruptTrailer(index: Int) {
        var bytes = Self.gzipHello
        bytes[index] ^= 0x10
        guard case .malformed = inflationError(bytes) else {
            Issue.record("byte \(index) was changed, and nothing noticed")
            return
        }
    }

    @Test("no change of a byte makes other text of it or a crash")
    func corruptAnywhere() {
        var random = SeededGenerator.fresh(for: "gzip corruption")
        let text = random.bytes(300) + [UInt8](repeating: 1, count: 3000)
        let whole = gzip(text)
        let inflater = Inflater()
        for _ in 0..<2000 {
            var bytes = whole
            // Behind the header: time and operating system in it are nobody's business.
            bytes[Int.random(in: 10..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            if let inflated = try? inflate(bytes, with: inflater) { #expect(inflated == text) }
        }
    }

    @Test("bytes behind the end that are no gzip member are refused")
    func trailingGarbage() {
        for garbage: [UInt8] in [[0], [1, 2, 3], Array("garbage and more".utf8)] {
            #expect(inflationError(Self.gzipHello + garbage) != nil)
        }
    }

    @Test("plain text is no compressed data, and nothing is neither")
    func noCompressedData() {
        guard case .malformed = inflationError(Array("plain text".utf8)) else {
            Issue.record("plain text was inflated")
            return
        }
        #expect(inflationError([]) == .truncated)
    }

    @Test("zlib data that asks for a dictionary is refused")
    func dictionary() {
        // CMF 0x78, FLG with FDICT: (0x78 * 256 + 0xBB) % 31 == 0.
        guard case .malformed = inflationError([0x78, 0xBB, 0, 0, 0, 1, 0xCB, 0x48]) else {
            Issue.record("the dictionary was not missed")
            return
        }
    }

    @Test("the limit itself is allowed, one byte more is not")
    func limit() throws {
        let bytes = gzip([UInt8](repeating: 0, count: 100_000))
        #expect(try inflate(bytes, limit: 100_000).count == 100_000)
        #expect(inflationError(bytes, limit: 99_999) == .tooLarge(limit: 99_999))
        #expect(inflationError(gzip([1]), limit: 0) == .tooLarge(limit: 0))
        #expect(try inflate(gzip([]), limit: 0) == [])
    }

    @Test("members that are small one by one count against the limit together")
    func limitOverMembers() {
        let member = gzip([UInt8](repeating: 0, count: 1000))
        let bytes = (0..<11).flatMap { _ in member }
        #expect(inflationError(bytes, limit: 10_000) == .tooLarge(limit: 10_000))
    }

    @Test("an inflater that met broken data inflates the next body")
    func inflaterIsReused() throws {
        let inflater = Inflater()
        for broken in [Array(Self.gzipHello[..<12]), Array("broken".utf8), gzip([UInt8](repeating: 0, count: 5000))] {
            #expect(inflationError(broken, limit: 4000, with: inflater) != nil)
            #expect(try inflate(Self.gzipHello, with: inflater) == Self.hello)
            #expect(try inflate(Self.zlibHello, with: inflater) == Self.hello)
        }
    }
}
