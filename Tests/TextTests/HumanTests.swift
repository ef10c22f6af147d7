import Testing

@testable import Text

@Suite("Numbers for people")
struct HumanTests {
    @Test(
        "Thousands are set apart, below zero too",
        arguments: [
            (0, "0"), (999, "999"), (1000, "1,000"), (5377, "5,377"), (123_456, "123,456"), (1_234_567, "1,234,567"),
            (-1000, "-1,000"), (-999, "-999"), (.min, "-9,223,372,036,854,775,808"),
        ] as [(Int, String)])
    func counts(count: Int, text: String) {
        #expect(humanCount(count) == text)
    }

    @Test("One is one thing, all other numbers are things, of which some have a plural of their own")
    func things() {
        #expect(humanCount(1, "task") == "1 task" && humanCount(0, "task") == "0 tasks")
        #expect(humanCount(5377, "task") == "5,377 tasks" && humanCount(-1, "task") == "-1 tasks")
        #expect(humanCount(1, "entry", "entries") == "1 entry" && humanCount(2, "entry", "entries") == "2 entries")
    }

    @Test(
        "A span of time has whole units, each from two of them on",
        arguments: [
            (-5, "0 s"), (0, "0 s"), (0.9, "0 s"), (119.9, "119 s"), (120, "2 min"), (179, "2 min"), (7199, "119 min"),
            (7200, "2 h"), (172_799, "47 h"), (172_800, "2 days"), (345_600, "4 days"), (1e15, "∞"), (.nan, "∞"),
            (.infinity, "∞"),
        ] as [(Double, String)])
    func spans(seconds: Double, text: String) {
        #expect(humanSpan(seconds) == text)
    }

    @Test(
        "A share is in whole percent, and in tenths of one below that",
        arguments: [
            (0, "0 %"), (-0.1, "-10 %"), (0.03, "3 %"), (0.01, "1 %"), (0.0099, "1 %"), (0.009, "0.9 %"),
            (0.004, "0.4 %"), (0.000_01, "0.1 %"), (0.015, "2 %"), (1, "100 %"), (1e12, "∞ %"), (.nan, "∞ %"),
        ] as [(Double, String)])
    func shares(share: Double, text: String) {
        #expect(humanShare(share) == text)
    }

    @Test(
        "A rate has tenths below ten",
        arguments: [
            (0, "0/s"), (4, "4/s"), (0.3, "0.3/s"), (0.04, "under 0.1/s"), (0.05, "0.1/s"), (9.94, "9.9/s"),
            (9.96, "10/s"), (10.4, "10/s"), (1200, "1,200/s"), (-0.3, "-0.3/s"), (-2, "-2/s"), (-20, "-20/s"),
            (1e15, "∞/s"), (.infinity, "∞/s"),
        ] as [(Double, String)])
    func rates(perSecond: Double, text: String) {
        #expect(humanRate(perSecond) == text)
    }

    @Test(
        "A size has tenths below a hundred of its unit, and never a thousand and more of one that has a next",
        arguments: [
            (0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (3482, "3.4 KiB"),
            (102_400, "100 KiB"), (102_451, "100 KiB"), (1_048_575, "1 MiB"), (16 << 20, "16 MiB"), (1 << 40, "1 TiB"),
            (5 << 50, "5120 TiB"), (-1536, "-1.5 KiB"),
        ] as [(Int, String)])
    func sizes(bytes: Int, text: String) {
        #expect(humanBytes(bytes) == text)
    }

    @Test(
        "Seconds go from millionths to hours; what would be rounded to a thousand goes to the next unit",
        arguments: [
            (0, "0"), (0.9e-6, "0"), (1e-6, "1 µs"), (850e-6, "850 µs"), (0.999_4e-3, "999 µs"), (0.999_5e-3, "1 ms"),
            (12.34e-3, "12.3 ms"), (0.012, "12 ms"), (0.999_4, "999 ms"), (0.999_5, "1 s"), (3.44, "3.4 s"),
            (99.4, "99.4 s"), (99.6, "100 s"), (119.4, "119 s"), (120, "2 min"), (300, "5 min"), (7199, "120 min"),
            (7200, "2 h"), (1e15, "∞"), (.nan, "∞"), (-1, "0"),
        ] as [(Double, String)])
    func seconds(seconds: Double, text: String) {
        #expect(humanSeconds(seconds) == text)
    }

    @Test(
        "Text from outside is put on one line, and can change neither a terminal nor its neighbours",
        arguments: [
            ("plain é 漢", "plain é 漢"), ("a\nb\r\tc", "a b  c"), ("end \n", "end"), ("\u{1B}[2J", "\\u{1B}[2J"),
            ("\u{7F}\u{80}\u{9F}\u{A0}", "\\u{7F}\\u{80}\\u{9F}\u{A0}"), ("\u{85}x", " x"),
            ("a\u{2028}b\u{2029}c", "a b c"),
            ("\u{202E}\u{2066}\u{2069}\u{206A}", "\\u{202E}\\u{2066}\\u{2069}\u{206A}"),
            ("\u{61C}\u{200E}\u{200F}\u{200D}", "\\u{61C}\\u{200E}\\u{200F}\u{200D}"), ("\0", "\\u{0}"), ("", ""),
        ])
    func oneLine(text: String, shown: String) {
        #expect(SafeText.oneLine(text) == shown)
    }

    @Test("A text that is longer than it may be is cut; what is escaped counts as one")
    func cut() {
        #expect(SafeText.oneLine("abcd", maxScalars: 4) == "abcd")
        #expect(SafeText.oneLine("abcde", maxScalars: 4) == "abcd")
        #expect(SafeText.oneLine("\u{1}bc", maxScalars: 2) == "\\u{1}b")
        #expect(SafeText.oneLine("abc   d", maxScalars: 5) == "abc")
    }
}
