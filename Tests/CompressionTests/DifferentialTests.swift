import Compression
import TestSupport
import Testing

/// What one library writes the other reads, and they agree on what is broken.
@Suite("ISA-L beside zlib")
struct DifferentialTests {
    /// Around the sizes where something changes: a stored block, the window, the history buffer of ISA-L.
    private static let sizes = [
        0, 1, 2, 7, 8, 9, 100, 32_767, 32_768, 32_769, 65_534, 65_535, 65_536, 65_537, 98_304, 131_071, 200_000,
        16 << 20,
    ]

    enum Kind: CaseIterable {
        case noise, zeros, words, requests
    }

    private func body(_ kind: Kind, count: Int) throws -> [UInt8] {
        var random = SeededGenerator.fresh(for: "\(kind), \(count) bytes")
        switch kind {
        case .noise: return random.noise(count)
        case .zeros: return [UInt8](repeating: 0, count: count)
        case .words: return words(count, &random)
        case .requests:
            let capture = try capturedRequests()
            // From another offset each time, so that matches reach over the ends of copies.
            return tiled(capture, count: count, from: Int.random(in: 0..<capture.count, using: &random))
        }
    }

    /// Short and long matches at all distances.
    private func words(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = random.bytes(min(count, 50))
        while bytes.count < count {
            let distance = Int.random(in: 1...min(bytes.count, 40_000), using: &random)
            let start = bytes.count - distance
            let length = min(Int.random(in: 1...min(distance, 1000), using: &random), count - bytes.count)
            bytes += Array(bytes[start..<(start + length)])
            if bytes.count < count { bytes.append(UInt8.random(in: 0...255, using: &random)) }
        }
        return bytes
    }

    @Test("each reads what the other wrote, of every size and kind", arguments: sizes, Kind.allCases)
    func bothWays(count: Int, kind: Kind) throws {
        let bytes = try body(kind, count: count)
        for writer in GzipLibrary.all {
            let member = writer.gzip(bytes)
            for reader in GzipLibrary.all {
                #expect(try reader.inflate(member, limit: count) == bytes, "\(writer) to \(reader)")
            }
        }
    }

    @Test("one compressor and one inflater do them all, large and small in turn")
    func reused() throws {
        let capture = try capturedRequests()
        var random = SeededGenerator.fresh(for: "reused")
        for library in GzipLibrary.all {
            let compress = library.makeCompressor()
            let inflater = Reused(library)
            for _ in 0..<200 {
                let start = Int.random(in: 0..<capture.count, using: &random)
                let bytes = Array(capture[start...].prefix(Int.random(in: 0...100_000, using: &random)))
                #expect(try inflater.inflate(bytes.withUnsafeBytes(compress)) == bytes)
            }
        }
    }

    @Test("members, stored and compressed, whose sizes don't tell the whole's")
    func members() throws {
        var random = SeededGenerator.fresh(for: "members")
        for _ in 0..<50 {
            var bytes: [UInt8] = []
            var members: [UInt8] = []
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let kind = Kind.allCases.randomElement(using: &random) ?? .noise
                let part = try body(kind, count: Int.random(in: 0...70_000, using: &random))
                bytes += part
                members += (GzipLibrary.all.randomElement(using: &random) ?? .zlib).gzip(part)
            }
            for library in GzipLibrary.all {
                #expect(try library.inflate(members) == bytes)
                #expect(try library.inflate(members, limit: bytes.count) == bytes)
                #expect(library.error(members, limit: bytes.count - 1) == .tooLarge(limit: bytes.count - 1))
            }
        }
    }

    @Test("a header with every optional field is skipped")
    func headerFields() throws {
        let plain = GzipLibrary.zlib.gzip(Array("hello".utf8))
        // FEXTRA, FNAME, FCOMMENT.
        let head = plain[..<3] + [0x1C] + plain[4..<10] + [3, 0, 1, 2, 3] + Array("name\u{0}comment\u{0}".utf8)
        for library in GzipLibrary.all {
            #expect(try library.inflate(Array(head + plain[10...])) == Array("hello".utf8))
            for count in 0..<head.count { #expect(library.error(Array(head[..<count])) == .truncated) }
        }
    }

    @Test(
        "what one refuses for its head the other refuses",
        arguments: [
            (3, 0x20), (3, 0x80), (2, 7), (1, 0x8C), (0, 0x1E),
        ])
    func badHead(index: Int, value: UInt8) {
        var bytes = GzipLibrary.zlib.gzip(Array("hello".utf8))
        bytes[index] = value
        for library in GzipLibrary.all { #expect(isMalformed(library.error(bytes)), "\(library)") }
    }

    @Test("of broken data both say that it is broken, and never make other bytes of it")
    func broken() throws {
        var random = SeededGenerator.fresh(for: "broken both ways")
        let whole = try body(.requests, count: 30_000)
        let readers = GzipLibrary.all.map { Reused($0) }
        for writer in GzipLibrary.all {
            let good = writer.gzip(whole)
            for _ in 0..<3000 {
                var bytes = good
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    bytes[Int.random(in: 10..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                case 1: bytes.removeSubrange(Int.random(in: 10..<bytes.count, using: &random)...)
                default:
                    let at = Int.random(in: 10..<bytes.count, using: &random)
                    bytes.replaceSubrange(at..., with: random.bytes(bytes.count - at))
                }
                let errors = readers.map { $0.error(bytes) }
                for (reader, error) in zip(readers, errors) where error == nil {
                    #expect(try reader.inflate(bytes) == whole)
                }
                #expect((errors[0] == nil) == (errors[1] == nil), "\(errors)")
            }
        }
    }

    @Test("random bytes behind a good header crash neither")
    func noise() {
        var random = SeededGenerator.fresh(for: "noise as deflate")
        let readers = GzipLibrary.all.map { Reused($0) }
        for _ in 0..<5000 {
            let noise = random.bytes(Int.random(in: 0...300, using: &random))
            for head: [UInt8] in [[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], [0x78, 0x9C]] {
                for reader in readers { #expect(reader.error(head + noise, limit: 5000) != nil) }
            }
        }
    }
}
