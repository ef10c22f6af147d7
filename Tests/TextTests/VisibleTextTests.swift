import Testing

@testable import Text

@Suite("Text in which everything can be seen")
struct VisibleTextTests {
    @Test(
        "A scalar that takes no place, or has no ink, is escaped where it stands alone",
        arguments: [
            0x34F, 0x115F, 0x17B5, 0x180E, 0x200A, 0x200B, 0x200C, 0x200D, 0x2061, 0x206A, 0x2800, 0x3000, 0x3164, 0xA0,
            0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0x1D173, 0xE0020, 0xE0100, 0x202E, 0x85, 0x20,
        ] as [UInt32])
    func alone(value: UInt32) throws {
        let scalar = try #require(Unicode.Scalar(value))
        #expect(VisibleText.escaped(String(scalar)) == "\\u{\(String(value, radix: 16, uppercase: true))}")
    }

    @Test(
        "Within a text it is escaped unless it belongs to what is beside it",
        arguments: [
            ("", ""), ("plain é 漢", "plain é 漢"), ("a\u{200D}b\u{FE0F}", "a\\u{200D}b\\u{FE0F}"),
            ("a\nb\tc\0", "a b c\\u{0}"), ("rtl\u{202E}abc", "rtl\u{202E}abc"), ("a\u{301}", "a\u{301}"),
            ("\u{2764}\u{FE0F} 1\u{FE0F}\u{20E3}", "\u{2764}\u{FE0F} 1\u{FE0F}\u{20E3}"), ("1\u{FE0F}", "1\\u{FE0F}"),
            ("👩🏽\u{200D}💻🏳\u{FE0F}\u{200D}🌈", "👩🏽\u{200D}💻🏳\u{FE0F}\u{200D}🌈"),
            ("葛\u{E0100}城葛\u{FE00}", "葛\u{E0100}城葛\u{FE00}"), ("a\u{E0100}", "a\\u{E0100}"),
            ("\u{1820}\u{180B}", "\u{1820}\u{180B}"), ("a\u{180B}", "a\\u{180B}"), ("ခ\u{200D}က", "ခ\u{200D}က"),
            (Self.england + "!", Self.england + "!"), ("🏴\u{E0067}", "🏴\\u{E0067}"),
            ("🏳\u{E0067}\u{E0062}\u{E0065}\u{E007F}", "🏳\\u{E0067}\\u{E0062}\\u{E0065}\\u{E007F}"),
            ("🦊\u{200D}", "🦊\\u{200D}"), ("می\u{200C}خواهم", "می\u{200C}خواهم"),
        ])
    func within(text: String, shown: String) {
        #expect(VisibleText.escaped(text).unicodeScalars.elementsEqual(shown.unicodeScalars))
    }

    private static let england = "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"

    @Test("A name's line ends are escaped as well, so that names that differ look different")
    func names() {
        #expect(VisibleText.escaped("a\nb\tc", isName: true) == "a\\u{A}b\\u{9}c")
        #expect(VisibleText.escaped("a b", isName: true) == "a b")
    }

    @Test(
        "A name in a sentence is one to be seen, whatever its characters are",
        arguments: [
            ("", "(no name)"), ("emails", "emails"), ("   ", "\\u{20}\\u{20}\\u{20}"), ("\u{2800}", "\\u{2800}"),
            ("\u{A0}\u{3000}", "\\u{A0}\\u{3000}"), ("\u{200B}", "\\u{200B}"), ("a\nb", "a b"), ("a b  ", "a b"),
            ("a\u{202E}", "a\\u{202E}"), ("漢 é", "漢 é"),
            (String(repeating: "x", count: 200), String(repeating: "x", count: 120)),
            (String(repeating: " ", count: 130) + "x", String(repeating: "\\u{20}", count: 120)),
        ])
    func inSentence(name: String, shown: String) {
        #expect(VisibleText.name(name, maxScalars: 120) == shown)
    }
}
