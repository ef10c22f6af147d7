import Testing

@testable import Top

@Suite struct TopKeyTests {
    @Test(
        arguments: [
            ("q", [.character("q")]), ("é漢", [.character("é"), .character("漢")]), ("\r", [.enter]), ("\n", [.enter]),
            ("\u{7F}\u{8}", [.backspace, .backspace]), ("\u{3}", [.interrupt]), ("\u{C}", [.redraw]), ("\u{1}\t", []),
            ("\u{1B}[A\u{1B}[B\u{1B}[C\u{1B}[D", [.up, .down, .right, .left]), ("\u{1B}OA\u{1B}OF", [.up, .end]),
            ("\u{1B}[5~\u{1B}[6~", [.pageUp, .pageDown]),
            ("\u{1B}[1~\u{1B}[4~\u{1B}[H\u{1B}[F", [.home, .end, .home, .end]),
            ("\u{1B}[1;5A", [.up]), ("\u{1B}[200~x", [.character("x")]), ("\u{1B}[?1;2cq", [.character("q")]),
            ("\u{1B}\u{1B}[A", [.escape, .up]),
        ] as [(String, [TopKey])])
    func sequencesAreKeys(_ text: String, _ keys: [TopKey]) {
        var reader = TopKeyReader()
        #expect(reader.read(text.utf8) == keys)
        #expect(!reader.isWaiting)
    }

    /// A slow line may cut a sequence anywhere.
    @Test(arguments: ["\u{1B}[5~", "\u{1B}OA", "漢", "\u{1B}[1;5A"])
    func aSequenceMayComeInPieces(_ text: String) {
        var whole = TopKeyReader()
        let expected = whole.read(text.utf8)
        var reader = TopKeyReader()
        var keys: [TopKey] = []
        for byte in text.utf8 { keys += reader.read([byte]) }
        #expect(keys == expected)
        #expect(keys.count == 1)
    }

    @Test func anEscapeAloneIsTheKeyOnceNothingFollows() {
        var reader = TopKeyReader()
        #expect(reader.read([0x1B]).isEmpty)
        #expect(reader.isWaiting)
        #expect(reader.flush() == [.escape])
        #expect(!reader.isWaiting)
        #expect(reader.flush().isEmpty)
    }

    @Test func whatIsNoKeyIsPassedOver() {
        var reader = TopKeyReader()
        #expect(reader.read([0xFF, 0x80, UInt8(ascii: "a")]) == [.character("a")])
        #expect(reader.read([0xC3, UInt8(ascii: "a")]) == [.character("a")])
        let noise = [0x1B, UInt8(ascii: "[")] + [UInt8](repeating: UInt8(ascii: "1"), count: 100)
        #expect(reader.read(noise).isEmpty)
        #expect(!reader.isWaiting)
    }
}
