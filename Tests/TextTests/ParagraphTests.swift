import Testing

@testable import Text

@Suite("Texts for people, in lines")
struct ParagraphTests {
    @Test(
        "Words fill lines up to the width; a longer word has a line of its own",
        arguments: [
            ("a bb ccc", 8, ["a bb ccc"]), ("a bb ccc", 7, ["a bb", "ccc"]), ("a bb ccc", 1, ["a", "bb", "ccc"]),
            ("aaaaaa b c", 3, ["aaaaaa", "b c"]), ("  a\n b ", 80, ["a b"]), ("", 80, []), ("é… é", 4, ["é… é"]),
        ] as [(String, Int, [String])])
    func width(text: String, width: Int, lines: [String]) {
        #expect(Paragraph.lines(text, width: width) == lines)
    }

    @Test("The indentation counts")
    func indentation() {
        #expect(Paragraph.lines("aa bb cc", width: 7, indentation: 2) == ["  aa bb", "  cc"])
        #expect(Paragraph.lines("aa bb cc", width: 6, indentation: 2) == ["  aa", "  bb", "  cc"])
    }

    @Test("A term stands beside its text where a blank fits between them, else above it")
    func entries() {
        #expect(Paragraph.entry("abc", "x y", width: 6, indentation: 5) == ["abc  x", "     y"])
        #expect(Paragraph.entry("abcd", "x y", width: 80, indentation: 5) == ["abcd x y"])
        #expect(Paragraph.entry("abcde", "x y", width: 80, indentation: 5) == ["abcde", "     x y"])
        #expect(Paragraph.entry("a", "long word", width: 8, indentation: 5) == ["a", "     long", "     word"])
        #expect(Paragraph.entry("a", "", width: 80, indentation: 5) == ["a"])
    }
}
