import Testing

@testable import Top

@Suite struct TerminalTextTests {
    @Test(arguments: [
        ("plain", "plain"), ("a\u{1B}[2Jb", "a\\u{1b}[2Jb"), ("tab\tnl\ncr\r", "tab\\u{9}nl\\u{a}cr\\u{d}"),
        ("del\u{7F}", "del\\u{7f}"), ("c1\u{9B}31m", "c1\\u{9b}31m"), ("rtl\u{202E}abc", "rtl\\u{202e}abc"),
        ("zero\u{200B}width\u{2028}", "zero\\u{200b}width\\u{2028}"), ("日本 é 🎉", "日本 é 🎉"),
        ("a\u{34F}\u{3164}\u{E0100}", "a\\u{34f}\\u{3164}\\u{e0100}"), ("\u{FE0F}", "\\u{fe0f}"),
        ("\u{A0}\u{2800}", "\\u{a0}\\u{2800}"),
        ("heart\u{2764}\u{FE0F}", "heart\u{2764}"), ("👍🏽", "👍"), ("👩\u{200D}💻", "👩\\u{200d}💻"),
        ("葛\u{E0100}城", "葛城"), ("می\u{200C}خواهم", "می\u{200C}خواهم"), ("🏴\u{E0067}", "🏴\\u{e0067}"),
        ("🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}!", "🏴gbeng!"),
    ])
    func whatATerminalWouldObeyIsEscaped(_ text: String, _ escaped: String) {
        #expect(TerminalText.escaped(text).unicodeScalars.elementsEqual(escaped.unicodeScalars))
    }

    @Test(arguments: [
        ("", "(no name)"), ("   ", "\\u{20}\\u{20}\\u{20}"), ("a b", "a b"), ("\u{2800} ", "\\u{2800}\\u{20}"),
        ("a\nb", "a\\u{a}b"),
    ])
    func aNameIsSeenWhateverItsCharactersAre(_ text: String, _ shown: String) {
        #expect(TerminalText.name(text) == shown)
    }

    @Test(arguments: [
        ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本語", 6), ("ｆｕｌｌ", 8), ("🎉", 2), ("✓", 1), ("█▏", 2),
        ("한국", 4), ("Ω", 1), ("\u{2764}", 1), ("⌚", 2), ("🇩🇪", 2), ("می\u{200C}خ", 3),
    ])
    func cellsAreCounted(_ text: String, _ cells: Int) {
        #expect(TerminalText.width(text) == cells)
    }

    @Test(arguments: [
        ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("abcdef", 1, "…"), ("abcdef", 0, ""),
        ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("e\u{301}xyz", 3, "e\u{301}x…"),
    ])
    func aLongTextEndsInAnEllipsis(_ text: String, _ cells: Int, _ cut: String) {
        #expect(TerminalText.cut(text, to: cells) == cut)
        #expect(TerminalText.width(TerminalText.cut(text, to: cells)) <= cells)
    }

    @Test func textIsWrappedAtBlanks() {
        let text = "imports has been paused for 30 min; 5,377 tasks wait"
        #expect(
            TerminalText.wrapped(text, to: 30, maxLines: 3) == [
                "imports has been paused for 30", "min; 5,377 tasks wait",
            ])
        #expect(TerminalText.wrapped(text, to: 20, maxLines: 2) == ["imports has been", "paused for 30 min; …"])
        #expect(TerminalText.wrapped("aaaaaaaaaa", to: 4, maxLines: 3) == ["aaaa", "aaaa", "aa"])
        #expect(TerminalText.wrapped("日本語", to: 1, maxLines: 2) == ["日", "…"])
        #expect(TerminalText.wrapped("", to: 4, maxLines: 3) == [""])
    }
}

@Suite struct QuantityTests {
    @Test(
        arguments: [
            (nil, "–"), (0, "0"), (999, "999"), (5377, "5,377"), (99_999, "99,999"), (100_000, "100k"),
            (123_456, "123k"),
            (12_345_678, "12M"), (1_234_567, "1.2M"), (999_499_999, "999M"), (999_999_999, "1G"), (-5, "-5"),
            (Int64.max, ">999T"), (Int64.min, "->999T"),
        ] as [(Int64?, String)])
    func counts(_ number: Int64?, _ text: String) {
        #expect(Quantity.count(number) == text)
    }

    @Test(
        arguments: [
            (nil, "–"), (0, "0"), (0.01, "<0.1"), (0.4, "0.4"), (9.96, "10"), (12.3, "12"), (99.94, "100"),
            (1234, "1,234"),
            (12_345, "12k"), (.nan, "–"), (.infinity, "–"),
        ] as [(Double?, String)])
    func rates(_ rate: Double?, _ text: String) {
        #expect(Quantity.rate(rate) == text)
    }

    @Test(
        arguments: [
            (nil, "–"), (0, "0 s"), (0.000_85, "850 µs"), (0.012, "12 ms"), (0.999_6, "1 s"), (3.44, "3.4 s"),
            (89.9, "90 s"),
            (90, "1.5 min"), (300, "5 min"), (5399, "90 min"), (7200, "2 h"), (33_120, "9.2 h"), (259_200, "3 d"),
            (1e15, "–"), (.nan, "–"), (-3, "0 s"),
        ] as [(Double?, String)])
    func seconds(_ seconds: Double?, _ text: String) {
        #expect(Quantity.seconds(seconds) == text)
    }

    @Test func bytes() {
        #expect(Quantity.bytes(512) == "512 B")
        #expect(Quantity.bytes(16_777_216) == "16 MiB")
        #expect(Quantity.bytes(nil) == "–")
    }
}

@Suite struct BarsTests {
    @Test func aBarHasEighths() {
        #expect(Bars.horizontal(1, cells: 3) == "███")
        #expect(Bars.horizontal(0.5, cells: 3) == "█▌")
        #expect(Bars.horizontal(0.0001, cells: 3) == "▏")
        #expect(Bars.horizontal(0, cells: 3) == "")
        #expect(Bars.horizontal(7, cells: 3) == "███")
    }

    @Test func aSparklineHasTheNewestAtTheRight() {
        #expect(Bars.sparkline([0, 1, 2, 4], cells: 6) == "  ▁▂▄█")
        #expect(Bars.sparkline([1, nil, 8, 0], cells: 4) == "▁ █▁")
        #expect(Bars.sparkline([0, 0], cells: 2) == "▁▁")
        #expect(Bars.sparkline([], cells: 3) == "   ")
    }

    /// A peak in a cell that stands for several values is seen.
    @Test func manyValuesInACellCountAsTheirLargest() {
        #expect(Bars.sparkline([0, 0, 8, 0, 0, 0], cells: 3) == "▁█▁")
    }

    @Test func aChartFillsItsHeight() {
        #expect(Bars.chart([0, 4, 8, 16], cells: 4, rows: 2) == ["   █", "▁▄██"])
    }

    @Test func sharesFillTheBarAndForgetNoPart() {
        #expect(Bars.shares([1, 1], cells: 10) == [5, 5])
        #expect(Bars.shares([1, 100_000], cells: 10) == [1, 9])
        #expect(Bars.shares([0, 0], cells: 10) == [0, 0])
        #expect(Bars.shares([1, 0, 2], cells: 10).reduce(0, +) == 10)
    }
}
