import Testing

@testable import HTTPService

@Suite("Where frames of HTTP/2 end")
struct FrameBoundariesTests {
    private static func frame(_ length: Int) -> [UInt8] {
        [UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255), 0, 0, 0, 0, 0, 1]
            + [UInt8](repeating: 0xFF, count: length)
    }

    @Test("They are found however the bytes are cut", arguments: [1, 2, 3, 8, 9, 10, 24, 33, 100, 1000])
    func cuts(size: Int) {
        let lengths = [0, 1, 300, 0, 0, 70_000, 5]
        var ends: Set<Int> = [24]
        var bytes = [UInt8](repeating: 1, count: 24)
        for length in lengths {
            bytes += Self.frame(length)
            ends.insert(bytes.count)
        }
        bytes += Self.frame(10).prefix(12)
        var boundaries = FrameBoundaries()
        var start = 0
        while start < bytes.count {
            let end = min(start + size, bytes.count)
            let found = bytes[start..<end].withUnsafeBytes { boundaries.lastEnd(in: $0) }
            let expected = ends.filter { $0 > start && $0 <= end }.max().map { $0 - start } ?? 0
            #expect(found == expected)
            start = end
        }
    }
}
