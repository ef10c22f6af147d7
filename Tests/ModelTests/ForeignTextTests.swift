import Model
import Testing

@Suite("Texts of others")
struct ForeignTextTests {
    private func bytes(_ text: String, _ more: UInt8...) -> ForeignText { ForeignText(Array(text.utf8) + more) }

    @Test(
        "A text that is cut keeps whole characters",
        arguments: [
            ("abcdef", 6, "abcdef"), ("abcdef", 7, "abcdef"), ("abcdef", 5, "abcde"), ("abcdef", 0, ""), ("aé", 2, "a"),
            ("aé", 3, "aé"), ("a漢b", 3, "a"), ("a漢b", 4, "a漢"), ("😀x", 3, ""), ("😀x", 4, "😀"), ("x😀", 2, "x"),
        ])
    func cut(text: String, count: Int, expected: String) {
        #expect(ForeignText(text).cut(to: count).text == expected)
    }

    @Test("Bytes that continue no character are cut where the limit is, three bytes before it at the most")
    func cutWithoutCharacters() {
        let noise = ForeignText([UInt8](repeating: 0x80, count: 10))
        #expect(noise.cut(to: 8).bytes.count == 4)
        #expect(noise.cut(to: 2).bytes.count == 0)
        #expect(noise.cut(to: 10).bytes.count == 10)
    }

    @Test("A text that is UTF-8 is printed as it is, but for what would look like a byte that is none")
    func printable() {
        #expect(ForeignText("mail:é漢").printable == "mail:é漢")
        #expect(ForeignText("a\\\\b").printable == "a\\\\b")
        #expect(ForeignText("a\\xFF").printable == "a\\\\xFF")
        #expect(ForeignText("a\\x7F").printable == "a\\x7F", "such a byte is never escaped")
        #expect(ForeignText("a\\xff").printable == "a\\xff")
        #expect(ForeignText("a\\x8").printable == "a\\x8")
        #expect(ForeignText("a\\\\xA0").printable == "a\\\\\\\\xA0")
        #expect(ForeignText("a\\").printable == "a\\")
    }

    @Test("Bytes that are no UTF-8 are printed as their digits, and backslashes before them twice")
    func invalid() {
        #expect(bytes("a", 0xFF).printable == "a\\xFF")
        #expect(bytes("a\\", 0xFF).printable == "a\\\\\\xFF")
        #expect(bytes("a\\b", 0x80).printable == "a\\b\\x80")
        #expect(bytes("", 0xC3, 0x28).printable == "\\xC3(")
        #expect(bytes("", 0xE2, 0x82).printable == "\\xE2\\x82")
        #expect(bytes("\u{FFFD}", 0xFE).printable == "\u{FFFD}\\xFE")
    }

    @Test("No two texts are printed alike")
    func different() {
        let texts = [
            bytes("a\\xFF"), bytes("a", 0xFF), bytes("a\\\\xFF"), bytes("a\\", 0xFF), bytes("a\\xff"),
            bytes("a\u{FFFD}"),
        ]
        #expect(Set(texts.map(\.printable)).count == texts.count)
    }

    @Test("Texts are in the order of their bytes")
    func order() {
        #expect(
            [bytes("b"), bytes("", 0xFF), bytes("a"), bytes("ab"), bytes("Z"), bytes("")].sorted() == [
                bytes(""), bytes("Z"), bytes("a"), bytes("ab"), bytes("b"), bytes("", 0xFF),
            ])
    }
}
