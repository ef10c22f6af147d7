import Testing

@testable import Platform

@Suite("Patterns in linear time")
struct LinearPatternTests {
    private static func isFound(_ pattern: String, _ text: [UInt8]) throws -> Bool {
        let compiled = try LinearPattern(pattern)
        return text.withUnsafeBytes { compiled.isFound(in: $0) }
    }

    @Test(
        "A pattern is found where grep -E would find it",
        arguments: [
            ("mail", "email:eu", true), ("mail", "mai", false), ("", "", true), ("", "a", true),
            ("^mail", "mail", true), ("^mail", "email", false), ("^mail", "e\nmail", false),
            ("mail$", "mail\nx", false),
            ("^$", "", true), ("^$", "\n", false), ("a|^b", "xb", false), ("a|^b", "xa", true),
            ("^(a|b)+$", "abba", true),
            ("^(a|b)+$", "abc", false), ("a.c", "a\nc", true), ("^a?b{2,3}$", "bbb", true),
            ("^a?b{2,3}$", "bbbb", false),
            ("^b{2}$", "bb", true), ("^b{2,}$", "b", false), ("^a+?$", "aaa", true), ("^a+?$", "", false),
            ("^a*?b$", "aab", true), ("^(?:ab)+$", "abab", true), ("(?i)^MAIL$", "mAiL", true), ("MAIL", "mail", false),
            ("^\\d+$", "123", true), ("^\\d+$", "12a", false), ("^\\D$", "x", true), ("^\\w+$", "a_1", true),
            ("^\\w+$", "a-1", false), ("\\s", "a b", true), ("^\\S+$", "a b", false), ("\\bmail\\b", "a mail b", true),
            ("\\bmail\\b", "emails", false), ("^a\\.b$", "a.b", true), ("^a\\.b$", "axb", false),
            ("\\A\\[x\\]\\z", "[x]", true),
            ("a\\tb", "a\tb", true), ("\\<", "<", true), ("^[a-c]+$", "abc", true), ("^[a-c]+$", "abd", false),
            ("^[^a-c]+$", "xyz", true), ("^[]a]+$", "]a", true), ("^[^]a]$", "]", false), ("^[a-]+$", "a-", true),
            ("^[-a]+$", "a-", true), ("^[\\d.-]+$", "1.2-3", true), ("^[\\w:]+$", "mail:eu", true),
            ("^[\\]\\\\]+$", "]\\", true),
            ("^[\\^]$", "^", true), ("^[\\^]$", "x", false), ("^[a^]$", "^", true), ("^[\\-\\^]+$", "-^", true),
            ("^[[:digit:]a]+$", "1a", true), ("^[+--]+$", "+,-", true), ("größe", "größe", true), ("^ö+$", "öö", true),
            ("^(ä|ö)$", "ö", true), ("^\\{x\\}$", "{x}", true), ("^a\\/b$", "a/b", true),
            ("^a\\nb\\rc\\fd$", "a\nb\rc\u{C}d", true), ("a\\Bb", "ab", true), ("a\\B$", "a", false),
            ("a\\Z", "ba", true),
            ("\\>\\`\\'", ">`'", true), ("^\\W\\s$", "- ", true), ("^\\ö$", "ö", true), ("^[\\n\\t]+$", "\n\t", true),
            ("^[\\s]$", " ", true), ("^[a^-]+$", "a^-", true), ("^[\\^-]+$", "^-", true), ("^[^\\^]$", "^", false),
            ("^[^\\^]$", "a", true), ("^[]-]+$", "]-", true), ("^[[.a.]b]+$", "ab", true),
            ("^[^-]$", "-", false), ("^a{2,3}?$", "aaa", true), ("^a{0}b$", "b", true), ("^(?:(?:a)b)$", "ab", true),
            ("(?i)^[a-c]+$", "AbC", true), ("^(?:a|b){32}$", String(repeating: "a", count: 32), true),
        ] as [(String, String, Bool)])
    func matches(pattern: String, text: String, expected: Bool) throws {
        #expect(try Self.isFound(pattern, Array(text.utf8)) == expected)
    }

    @Test("Bytes that are no UTF-8, and zeros, are bytes like others")
    func bytes() throws {
        #expect(try Self.isFound("^a.b$", [0x61, 0xFF, 0x62]))
        #expect(try Self.isFound("^a.b$", [0x61, 0, 0x62]))
        #expect(try Self.isFound("b$", [0, 0x62]))
    }

    @Test(
        "What is no pattern, or could backtrack, is refused with the reason",
        arguments: [
            ("(", "Unmatched ( or \\("), ("a)", "Unmatched ) or \\)"), ("a)|(b", "Unmatched ) or \\)"),
            ("[a", "[ without ]"),
            ("a**b(", "Unmatched ( or \\("),
            ("(?<n>a)", "look-around, named groups and options other than a leading (?i) are not supported"),
            ("^(?!a)", "look-around, named groups and options other than a leading (?i) are not supported"),
            ("(a)\\1", "back-references are not supported"), ("\\p{L}", "\\p is not supported"),
            ("a++", "possessive quantifiers are not supported"), ("a\\", "a backslash at the end"),
            ("a{x}", "{x} is not a count; a brace by itself is \\{"), ("a{1", "{ without }; a brace by itself is \\{"),
            ("((a{4}){4}){3}", "the counts in braces multiply to more than 32"),
            ("a.{33}$", "the counts in braces multiply to more than 32"), ("[z-a]", "[z-a] is not a range"),
            ("[ä]", "ä in brackets is not supported; write (ä|ö) for [äö]"),
            ("[\\p]", "\\p in brackets is not supported"),
            ("[[:nope:]]", "Invalid character class name"), ("a\0", "a pattern can't hold a zero byte"),
            ("\\0", "\\0 is not supported"), ("\\9", "back-references are not supported"),
            ("\\Q", "\\Q is not supported"),
            ("a{,3}", "{,3} is not a count; a brace by itself is \\{"),
            ("a{1,x}", "{1,x} is not a count; a brace by itself is \\{"),
            ("a{2}{17}", "the counts in braces multiply to more than 32"), ("[a-\\d]", "[a-\\] is not a range"),
            ("[\\", "[ without ]"), ("[[:alpha:", "[[: without :]]"), ("[\\7]", "\\7 in brackets is not supported"),
            ("a{4}b{9}", "the counts in braces multiply to more than 32"), ("(a))", "Unmatched ) or \\)"),
            ("a{2,33}", "the counts in braces multiply to more than 32"),
            ("(?i:a)", "look-around, named groups and options other than a leading (?i) are not supported"),
        ])
    func refused(pattern: String, reason: String) {
        let problem = #expect(throws: LinearPattern.Invalid.self) { _ = try LinearPattern(pattern) }
        #expect(problem?.reason == reason)
    }

    /// A matcher that tries again would need longer than the age of the world for each of these.
    @Test(
        "Patterns that make others backtrack look at each byte once",
        arguments: ["^([a-z]+-?)+$", "^(a+)+$", "^(a|a)*$", "(a*)*b", "(.*.*.*)*=x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
    func hostile(pattern: String) throws {
        let compiled = try LinearPattern(pattern)
        var text = Array(repeating: UInt8(ascii: "a"), count: 100_000)
        text.append(UInt8(ascii: "!"))
        let isFound = text.withUnsafeBytes { compiled.isFound(in: $0) }
        #expect(!isFound)
    }

    @Test("An automaton that grows with what it meets is made anew, and finds the same")
    func renewal() throws {
        let compiled = try LinearPattern("^(a|b)*a(a|b){6}$")
        var state: UInt64 = 1
        for _ in 0..<400 {
            let text = (0..<300).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state >> 60 & 1 == 0 ? UInt8(ascii: "a") : UInt8(ascii: "b")
            }
            let isFound = text.withUnsafeBytes { compiled.isFound(in: $0) }
            #expect(isFound == (text[text.count - 7] == UInt8(ascii: "a")))
        }
    }
}
