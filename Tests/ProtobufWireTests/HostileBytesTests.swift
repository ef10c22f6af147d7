import ProtobufWire
import TestSupport
import Testing

@Suite("Cut, changed and random bytes")
struct HostileBytesTests {
    private static let valid: [UInt8] =
        tag(1, 0) + varint(1 << 40) + tag(2, 1) + [1, 2, 3, 4, 5, 6, 7, 8] + tag(3, 2) + [3, 1, 2, 3] + tag(4, 5)
        + [1, 2, 3, 4] + tag(5, 3) + tag(6, 0) + [1] + tag(7, 3) + tag(7, 4) + tag(5, 4) + tag(100_000, 2) + [0]

    @Test("every truncation of a valid message is an error or a prefix of its fields")
    func truncations() throws {
        let ends = try withReader(Self.valid) { try walk(&$0) }
        #expect(ends.count == 6)
        for count in 0...Self.valid.count {
            let prefix = Array(Self.valid[..<count])
            if count == 0 || ends.contains(count) {
                #expect(try withReader(prefix) { try walk(&$0) } == ends.filter { $0 <= count })
            } else {
                let error = try #require(wireError(prefix) { try walk(&$0) })
                #expect([.truncated, .lengthPastEnd, .badGroup].contains(error.reason))
                #expect((0...count).contains(error.offset))
            }
        }
    }

    @Test("changed bytes give fields or an error inside the buffer, never a crash")
    func mutations() {
        var random = SeededGenerator.fresh(for: "wire mutations")
        for _ in 0..<5000 {
            var bytes = Self.valid
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            check(bytes)
        }
    }

    @Test("random bytes give fields or an error inside the buffer, never a crash")
    func noise() {
        var random = SeededGenerator.fresh(for: "wire noise")
        for _ in 0..<5000 {
            check(random.bytes(Int.random(in: 0...40, using: &random)))
        }
    }

    private func check(_ bytes: [UInt8]) {
        do {
            let ends = try withReader(bytes) { try walk(&$0) }
            #expect((ends.last ?? 0) == bytes.count, "\(bytes)")
        } catch {
            let offset = (error as? WireError)?.offset ?? -1
            #expect((0...bytes.count).contains(offset), "\(bytes)")
        }
    }
}
