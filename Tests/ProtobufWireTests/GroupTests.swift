import ProtobufWire
import Testing

@Suite("Groups, which only unknown fields have")
struct GroupTests {
    private static let start: UInt64 = 3
    private static let end: UInt64 = 4

    @Test("an empty group and one with fields of every type are stepped over")
    func wellFormed() throws {
        let empty = tag(7, Self.start) + tag(7, Self.end)
        #expect(try withReader(empty) { try walk(&$0) } == [empty.count])
        let inside =
            tag(1, 0) + varint(300) + tag(2, 1) + [UInt8](repeating: 0, count: 8) + tag(3, 2) + [2, 9, 9]
            + tag(4, 5) + [0, 0, 0, 0]
        let full = tag(7, Self.start) + inside + tag(7, Self.end) + tag(1, 0) + [1]
        #expect(try withReader(full) { try walk(&$0) } == [full.count - 2, full.count])
    }

    @Test("a group in a group may have the same number")
    func sameNumber() throws {
        let bytes = tag(7, Self.start) + tag(7, Self.start) + tag(7, Self.end) + tag(7, Self.end)
        #expect(try withReader(bytes) { try walk(&$0) } == [bytes.count])
    }

    @Test("a group that is not closed is an error, even when its fields end well")
    func unclosed() {
        #expect(wireError(tag(7, Self.start)) { try walk(&$0) }?.reason == .badGroup)
        #expect(wireError(tag(7, Self.start) + tag(1, 0) + [1]) { try walk(&$0) }?.reason == .badGroup)
        let inner = tag(7, Self.start) + tag(8, Self.start) + tag(8, Self.end)
        #expect(wireError(inner) { try walk(&$0) }?.reason == .badGroup)
    }

    @Test("a group closed by another field is an error")
    func wronglyClosed() {
        #expect(wireError(tag(7, Self.start) + tag(8, Self.end)) { try walk(&$0) }?.reason == .badGroup)
        let crossed = tag(7, Self.start) + tag(8, Self.start) + tag(7, Self.end) + tag(8, Self.end)
        #expect(wireError(crossed) { try walk(&$0) }?.reason == .badGroup)
    }

    @Test("an end without a start is an error")
    func endOnly() {
        #expect(wireError(tag(7, Self.end)) { try walk(&$0) }?.reason == .badGroup)
    }

    @Test("a group does not close in the message around its own")
    func acrossMessages() {
        let bytes = [1] + tag(7, Self.start) + tag(7, Self.end)
        let error = wireError(bytes) { reader in
            var nested = try reader.message()
            return try walk(&nested)
        }
        #expect(error?.reason == .badGroup)
    }

    @Test("32 groups in each other are read, one more is refused")
    func depth() throws {
        func nested(_ count: Int) -> [UInt8] {
            (0..<count).flatMap { _ in tag(7, Self.start) } + (0..<count).flatMap { _ in tag(7, Self.end) }
        }
        #expect(try withReader(nested(32)) { try walk(&$0) } == [64])
        #expect(wireError(nested(33)) { try walk(&$0) }?.reason == .tooDeep)
        #expect(wireError(nested(500_000)) { try walk(&$0) }?.reason == .tooDeep)
        #expect(wireError([UInt8](repeating: 0x3B, count: 1 << 20)) { try walk(&$0) }?.reason == .tooDeep)
    }
}
